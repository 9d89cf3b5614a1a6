/* Keep a short formula on one line with the bracket before it and the comma behind it. Browsers may break a line on
   either side of a formula, and then a line begins with a comma. */
(() => {
  const after = /^[,.;:!?)\]’”…–%-]+/;
  const before = /[(\[“‘]+$/;

  function keepTogether(formula) {
    if (formula.closest(".no-break") || formula.getBoundingClientRect().width > 160) return;
    const [previous, next] = [formula.previousSibling, formula.nextSibling];
    const head = previous?.nodeType === Node.TEXT_NODE && previous.data.match(before);
    const tail = next?.nodeType === Node.TEXT_NODE && next.data.match(after);
    if (!head && !tail) return;
    const span = document.createElement("span");
    span.className = "no-break";
    formula.replaceWith(span);
    if (head) {
      previous.data = previous.data.slice(0, -head[0].length);
      span.append(head[0]);
    }
    span.append(formula);
    if (tail) {
      next.data = next.data.slice(tail[0].length);
      span.append(tail[0]);
    }
  }

  window.addEventListener("load", () => {
    window.MathJax?.startup?.promise?.then(() => document.querySelectorAll("span.math").forEach(keepTogether));
  });
})();
