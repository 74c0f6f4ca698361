"""A PyTorch training that ends in NaN: operation, layer and row are named while it runs, and the remedy is tried.

python examples/doctor_nan.py
"""

import torch
from torch import nn

import descender


class Direction(nn.Module):
    """Rows brought to length 1.  A row of zeros has no direction."""

    def forward(self, x):
        """The rows over their lengths."""
        return x / x.norm(dim=1, keepdim=True)


class Training:
    """A loop as one writes it: what is trained, on what, and one step."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.X = torch.randn(400, 5)
        self.y = (self.X[:, 0] > self.X[:, 1]).long()
        self.X[137] = 0.0  # a sensor was off
        self.module = nn.Sequential(Direction(), nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01)
        self.batches = torch.utils.data.DataLoader(list(zip(self.X, self.y, strict=True)), 32, shuffle=True)
        self.loss_fn = nn.CrossEntropyLoss()
        self.steps = 100

    def step(self, batch):
        """One step; the loss of its batch."""
        X, y = batch
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.module(X), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main():
    """Watch a training, then have it diagnosed and its remedy tried."""
    training = Training(seed=0)
    with descender.watch(training.module, training.optimizer, tell=print):
        losses = [training.step(batch) for _ in range(8) for batch in training.batches]
    print(f"the last loss: {losses[-1]}")

    findings = descender.diagnose(Training)  # makes the training again, as often as it needs it
    print(findings)
    for trial in findings.confirm():
        print(trial)
    return findings


if __name__ == "__main__":
    main()
