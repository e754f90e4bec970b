"""Training of an autoencoder: reconstruction, a price on information, and networks that take turns."""

from typing import Any

import lightning
import torch
from jaxtyping import Float
from lightning.pytorch.core.optimizer import LightningOptimizer
from pydantic import Field
from torch import Tensor, nn

from segue.audio.autoencoder.losses import draw, rate_nats
from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.autoencoder.objectives import ObjectiveSettings, make_objective
from segue.audio.autoencoder.original import OriginalAutoencoder
from segue.audio.autoencoder.settings import Posterior
from segue.core.config import StrictModel
from segue.errors import SettingError
from segue.training.optim import OptimSettings, decay_groups, learning_rate_factor
from segue.units import nats_to_bits

Autoencoder = SpectralAutoencoder | OriginalAutoencoder
"""What can be trained as the first stage."""


class BottleneckSettings(StrictModel):
    """What information costs on its way through the latents.

    With a target, the price moves until the rate is there (a dual variable): bits per second can be
    chosen, where a fixed price gives whatever comes. The rate is the divergence of the latents'
    distribution from a standard normal.
    """

    kl_weight: float = Field(
        default=1e-3, ge=0, description="price of a nat per frame; where a target is set, at first"
    )
    target_bits_per_second: float | None = Field(
        default=None, gt=0, description="rate that the price is moved for; None keeps the price"
    )
    dual_rate: float = Field(
        default=0.01, gt=0, description="how fast the price moves: log price per relative excess"
    )
    latent_noise: float = Field(
        default=0.0, ge=0, description="typical deviation of noise added before the decoder"
    )


class AutoencoderOptim(StrictModel):
    """The two optimisers."""

    autoencoder: OptimSettings = OptimSettings(
        learning_rate=1e-3, betas=(0.8, 0.99), weight_decay=1e-3
    )
    discriminator: OptimSettings = OptimSettings(
        learning_rate=5e-4, betas=(0.8, 0.99), weight_decay=1e-3
    )
    clip_norm: float | None = Field(
        default=1.0, gt=0, description="largest gradient norm, of both networks each"
    )
    freeze_encoder_from_step: int | None = Field(
        default=None,
        ge=0,
        description="the encoder stays as it is from there on, and so the latents",
    )


class AutoencoderTask(lightning.LightningModule):
    """Train an autoencoder and, where there is one, a discriminator against it.

    A step of the run is one step of the autoencoder; the discriminator's is counted nowhere, so that
    steps mean the same with and without it.

    Args:
        model: see `segue.audio.autoencoder.settings`; also what is exported.
        objective: the losses.
        bottleneck: the price of information.
        optim: the optimisers.
        max_steps: steps of the whole run, for the schedules.
        seed: of the noise on the latents.
    """

    price: Tensor

    def __init__(
        self,
        model: Autoencoder,
        objective: ObjectiveSettings,
        bottleneck: BottleneckSettings,
        optim: AutoencoderOptim,
        *,
        max_steps: int,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.automatic_optimization = False
        self.model = model
        self.settings = objective
        self.bottleneck = bottleneck
        self.optim = optim
        self.max_steps = max_steps
        config = model.config
        self.hop_seconds = config.hop_samples / config.rate_hz
        self.objective = make_objective(objective, rate_hz=config.rate_hz, channels=config.channels)
        self.register_buffer("price", torch.tensor(bottleneck.kl_weight))
        self.validation_sums: dict[str, Tensor] = {}

    @property
    def monitor(self) -> str:
        """The validation metric that says which weights are best."""
        return "val_reconstruction"

    @property
    def discriminator(self) -> nn.Module | None:
        """The discriminator, where there is one."""
        return self.objective.discriminator

    def encoder_is_frozen(self, step: int) -> bool:
        """Whether the latents are final at a step."""
        start = self.optim.freeze_encoder_from_step
        return start is not None and step >= start

    def settling(self, step: int) -> str:
        """Return what goes on with its averaged weights from a step on: the encoder that freezes."""
        return "model.encoder" if step == self.optim.freeze_encoder_from_step else ""

    def adversarial_factor(self, step: int) -> float:
        """Return how much of the adversarial weights counts at a step, from 0 to 1."""
        settings = self.settings
        if self.discriminator is None or step < settings.adversarial_from_step:
            return 0.0
        done = step - settings.adversarial_from_step + 1
        return min(1.0, done / max(1, settings.adversarial_ramp_steps))

    def forward(
        self, audio: Float[Tensor, "batch channels samples"], *, frozen: bool = False
    ) -> tuple[Float[Tensor, "batch ..."], Posterior]:
        """Return what was decoded, sound or magnitudes, and the latents' distribution."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            posterior = self.model.encode(audio)
            posterior = Posterior(posterior.mean.float(), posterior.log_variance.float())
        latents = draw(posterior, self._noise(posterior.mean))
        if self.bottleneck.latent_noise:
            size = self.bottleneck.latent_noise * self._noise(latents[:, :1, :1], salt=1).abs()
            latents = latents + size * self._noise(latents, salt=2)
        return self._decoded(latents), posterior

    def _decoded(self, latents: Tensor) -> Tensor:
        """Return what the objective compares: sound, or magnitudes."""
        if self.settings.kind == "magnitude":
            assert isinstance(self.model, SpectralAutoencoder)
            return self.model.magnitudes(latents).float()
        return self.model.decode(latents).float()

    def _target(self, audio: Tensor) -> Tensor:
        """Return what `_decoded` should give."""
        if self.settings.kind == "magnitude":
            assert isinstance(self.model, SpectralAutoencoder)
            return self.model.real_magnitudes(audio)
        return audio

    def _noise(self, like: Tensor, *, salt: int = 0) -> Tensor:
        """Return normal noise for this process's rows, the same however many processes share them."""
        rank, world = self.global_rank, self.trainer.world_size
        source = torch.Generator().manual_seed((self.global_step * 3 + salt) * 65_537 + self.seed)
        whole = torch.randn((like.shape[0] * world, *like.shape[1:]), generator=source)
        return whole[rank::world].to(like.device)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        """Take a step of the autoencoder, then one of the discriminator."""
        audio = batch["audio"]
        real = self._target(audio)
        step = self.global_step
        frozen = self.encoder_is_frozen(step)
        factor = self.adversarial_factor(step)
        generator = self._generator()
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
        decoded, posterior = self(audio, frozen=frozen)
        parts = self.objective.reconstruction(decoded, real)
        rate = rate_nats(posterior).mean()
        loss = sum(parts.values(), torch.zeros((), device=real.device))
        if not frozen:
            loss = loss + self.price * rate
        parts |= {"kl": rate.detach(), "elbo": loss.detach()}
        if factor:
            fooled, features = self.objective.fooling(*self._crop(decoded, real, batch_idx))
            weights = self.settings
            loss = loss + factor * weights.adversarial_weight * fooled
            loss = loss + factor * weights.feature_weight * features
            parts |= {"adversarial": fooled, "features": features}
        norm = self._step(generator, loss, self.model)
        if not frozen:
            self._move_price(rate)
        parts |= {"norm": norm, **self._train_discriminator(decoded, real, batch_idx, factor)}
        return self._report(loss, parts, rate, audio)

    def _train_discriminator(
        self, decoded: Tensor, real: Tensor, batch_idx: int, factor: float
    ) -> dict[str, Tensor]:
        """Take the discriminator's step, unless it pauses."""
        pause = self.settings.discriminator_pause
        if not factor or self.discriminator is None or (pause and batch_idx % pause == 0):
            return {}
        self.discriminator.requires_grad_(True)
        loss = self.objective.telling(*self._crop(decoded.detach(), real, batch_idx))
        optimizers = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizers, list)
        optimizer = optimizers[1]
        self._step(optimizer, loss, self.discriminator)
        return {"discriminator": loss}

    def _step(
        self, optimizer: torch.optim.Optimizer | LightningOptimizer, loss: Tensor, net: nn.Module
    ) -> Tensor:
        """Step down one loss. Gradients that are not numbers change nothing; returns their norm."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        parameters = [p for p in net.parameters() if p.grad is not None]
        most = self.optim.clip_norm
        norm = nn.utils.clip_grad_norm_(parameters, float("inf") if most is None else most)
        if not torch.isfinite(norm):
            optimizer.zero_grad(set_to_none=False)
        optimizer.step()
        schedules = self.lr_schedulers()
        several = schedules if isinstance(schedules, list) else [schedules]
        schedule = several[0 if net is self.model else 1]
        assert schedule is not None
        schedule.step()
        return norm.detach()

    def _move_price(self, rate: Tensor) -> None:
        """Raise the price where the rate is above its target, lower it where it is below."""
        target = self.bottleneck.target_bits_per_second
        if target is None:
            return
        rate = self._mean_over_processes(rate.detach())
        excess = nats_to_bits(1.0) * rate / self.hop_seconds / target - 1
        change = torch.exp(self.bottleneck.dual_rate * excess.clamp(-1, 1))
        self.price.mul_(change.nan_to_num(1.0)).clamp_(1e-7, 10.0)

    def _crop(self, decoded: Tensor, real: Tensor, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return the part of the clips that discriminators see."""
        length = self.settings.adversarial_length
        spare = real.shape[-1] - (length or real.shape[-1])
        if spare <= 0:
            return decoded, real
        start = (batch_idx * 7919) % (spare + 1)
        place = slice(start, start + real.shape[-1] - spare)
        return decoded[..., place], real[..., place]

    def _report(
        self, loss: Tensor, parts: dict[str, Tensor], rate: Tensor, real: Tensor
    ) -> dict[str, Any]:
        """Return what the engine notes of a step; ``tokens`` counts samples of sound."""
        one = torch.ones(())
        bits = nats_to_bits(1.0) * rate / self.hop_seconds
        parts |= {"loss": loss, "bits_per_second": bits, "price": self.price.clone()}
        measured = {
            name: (self._mean_over_processes(value.detach()), one) for name, value in parts.items()
        }
        samples = real.shape[0] * real.shape[-1] * self.trainer.world_size
        return {"loss": measured["loss"][0], "tokens": samples, "metrics": measured}

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self.validation_sums = {}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Measure reconstruction from the mean of the latents, as a user hears it."""
        real = self._target(batch["audio"])
        posterior = self.model.encode(batch["audio"])
        decoded = self._decoded(posterior.mean.float())
        parts = self.objective.reconstruction(decoded, real)
        parts["reconstruction"] = sum(parts.values(), torch.zeros((), device=real.device))
        rate = rate_nats(Posterior(posterior.mean.float(), posterior.log_variance.float()))
        parts["bits_per_second"] = nats_to_bits(1.0) * rate.mean() / self.hop_seconds
        parts["count"] = torch.ones((), device=real.device)
        for name, value in parts.items():
            self.validation_sums[name] = self.validation_sums.get(name, 0.0) + value.double()

    def on_validation_epoch_end(self) -> None:
        """Log the means."""
        sums = {n: self._mean_over_processes(v) for n, v in self.validation_sums.items()}
        count = sums.pop("count", torch.ones(()))
        for name, value in sums.items():
            self.log(f"val_{name}", float(value / count))

    def configure_optimizers(self) -> Any:
        """Return one AdamW and one schedule for each network."""
        pairs: list[tuple[nn.Module, OptimSettings]] = [(self.model, self.optim.autoencoder)]
        if self.discriminator is not None:
            pairs.append((self.discriminator, self.optim.discriminator))
        optimizers, schedules = [], []
        for net, optim in pairs:
            groups = decay_groups(net, optim.weight_decay)
            optimizer = torch.optim.AdamW(groups, lr=optim.learning_rate, betas=optim.betas)
            optimizers.append(optimizer)
            schedules.append(self._schedule(optimizer, optim))
        return optimizers, schedules

    def _schedule(
        self, optimizer: torch.optim.Optimizer, optim: OptimSettings
    ) -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(optim, step, self.max_steps)
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the architecture beside the weights."""
        checkpoint["model_config"] = self.model.config.model_dump()

    def _generator(self) -> LightningOptimizer:
        """Return the autoencoder's optimiser, whose steps Lightning counts."""
        optimizers = self.optimizers()
        first = optimizers[0] if isinstance(optimizers, list) else optimizers
        if not isinstance(first, LightningOptimizer):
            raise SettingError("The autoencoder's task runs inside a trainer only; use `fit`.")
        return first

    def _mean_over_processes(self, value: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return value
        mean: Tensor = self.trainer.strategy.reduce(value, reduce_op="mean")
        return mean
