"""Steps of training: what is refined, and what it teaches."""

import torch

from ganrev.data.corpus import load_corpus
from ganrev.pixels import to_x
from ganrev.train.training import Training
from tests.train.miniature import configured


def test_proposals_are_refined_by_ssim_and_by_mse_in_turn(undisturbed, place):
    training = Training(configured(place, undisturbed), torch.load(undisturbed / "components.pt", weights_only=True))
    turns = []
    for training.step in range(7):
        turns.append(training.refiner)
    assert turns == [None, training.ssim, training.mse, None, training.ssim, training.mse, None]
    x = to_x(load_corpus([place / "more"])[1][:2])
    proposal = training.encoder(x).detach() + 0.3 * torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    refined = [training._refine(proposal, x, loss) for loss in (training.ssim, training.mse)]
    assert not torch.equal(*refined)
    for loss, z in zip((training.ssim, training.mse), refined, strict=True):
        with torch.no_grad():
            before, after = (loss(training.network(latents), x).sum() for latents in (proposal, z))
        assert after < before


def test_refined_latents_teach_the_generator_alone(undisturbed, place):
    training = Training(configured(place, undisturbed), torch.load(undisturbed / "components.pt", weights_only=True))
    images = load_corpus([place / "more"])[1][:2]
    for training.step, learns in ((0, True), (1, False), (2, False)):
        encoder, network = (p.clone() for p in (training.encoder.correction.bias, training.network.linear.bias))
        step = training.step
        training.advance(images)
        assert torch.equal(encoder, training.encoder.correction.bias) != learns, step
        assert not torch.equal(network, training.network.linear.bias)
