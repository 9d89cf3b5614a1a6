"""What several readings share: tasks, real data, training loops and the look of figures."""

import torch

torch.set_num_threads(1)
