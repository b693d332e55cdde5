import torch
from torch import nn

from stability.run.isolation import Structure


def test_the_structure_undoes_hooks_wrappers_parameters_and_forwards():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight.requires_grad_(False)
    inputs = torch.ones(1, 2)
    expected = model(inputs)
    structure = Structure(model)

    model[0].register_forward_hook(lambda module, args, output: output + 1)
    model[1] = nn.Sequential(model[1], nn.ReLU())
    model.register_parameter("extra", nn.Parameter(torch.ones(1)))
    model.forward = lambda x: x  # type: ignore[method-assign]
    model.train(False)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    structure.restore()

    assert torch.equal(model(inputs), expected)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, True, False, True]
    assert model.training
