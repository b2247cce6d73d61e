"""Write small networks of many architectures with random weights, and spandrel's outputs for them.

    python architectures.py FOLDER [NAME …]

`SIZES=22x19` sets the sizes of the inputs. The folder `architectures/` was made in this manner.

Needs torch, numpy, spandrel and spandrel_extra_arches. `UPSCALE_REFERENCES=FOLDER cargo nextest run
--test model references` compares them with the graphs that this project builds, and prints a table.
"""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from spandrel import ModelLoader
from spandrel.architectures import (
    DAT, DRCT, HAT, MoSR, OmniSR, PLKSR, RCAN, RGT, RealCUGAN, SAFMN, SwiftSRGAN, SwinIR)
from spandrel_extra_arches import install
from spandrel_extra_arches.architectures.SRFormer import SRFormer

SIZES = [tuple(map(int, size.split("x")))
         for size in os.environ.get("SIZES", "45x51 64x47 53x42").split()]


def picture(channels, width, height):
    """Sample i is (37 i mod 101) / 100, as in the tests."""
    samples = torch.arange(channels * height * width) * 37 % 101 / 100
    return samples.view(1, channels, height, width)


def randomize(network):
    """Weights that matter everywhere, also where training starts from zeros or ones."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and "rpe_biases" not in name and "init_pos" not in name \
                    and "mask" not in name and "relative_" not in name.replace("relative_position_bias_table", ""):
                value += torch.randn_like(value) * 0.03
                if "running_var" in name:
                    value.abs_()
    return network.eval()


def whole_numbers(model, x):
    """The output, padded as spandrel does it, without its clamping to 0..1."""
    height, width = x.shape[2:]
    right, bottom = model.size_requirements.get_padding(width, height)
    x = F.pad(x, (0, right, 0, bottom), "reflect")
    # Some networks change their input.
    return model.model(x.clone())[:, :, : height * model.scale, : width * model.scale]


def swinir(**how):
    return SwinIR.SwinIR(img_size=16, embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=4,
                         mlp_ratio=2, **how)


def rrdb(**how):
    return importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB").RRDBNet(**how)


def srformer(**how):
    return SRFormer(embed_dim=16, depths=[2, 2], num_heads=[2, 2], mlp_ratio=2, **how)


NETWORKS = {
    "swinir_x2": lambda: swinir(upscale=2, upsampler="pixelshuffle"),
    "swinir_x3_light": lambda: swinir(upscale=3, upsampler="pixelshuffledirect"),
    "swinir_x4_real": lambda: swinir(upscale=4, upsampler="nearest+conv", resi_connection="3conv"),
    "swinir_x1": lambda: SwinIR.SwinIR(img_size=14, embed_dim=12, depths=[2], num_heads=[2],
                                       window_size=7, mlp_ratio=2, upscale=1, upsampler="",
                                       img_range=255.0),
    "hat_x4": lambda: HAT.HAT(img_size=16, embed_dim=12, depths=[2, 2], num_heads=[2, 2],
                              window_size=4, compress_ratio=3, squeeze_factor=4, mlp_ratio=2,
                              upscale=4, num_feat=16),
    "hat_x2_16": lambda: HAT.HAT(img_size=32, embed_dim=8, depths=[2], num_heads=[2],
                                 window_size=16, compress_ratio=2, squeeze_factor=4, mlp_ratio=2,
                                 upscale=2, num_feat=16),
    "dat_x2": lambda: DAT.DAT(img_size=16, embed_dim=32, split_size=[4, 8], depth=[4, 3],
                              num_heads=[4, 4], expansion_factor=2, upscale=2),
    "dat_x4_light": lambda: DAT.DAT(img_size=16, embed_dim=32, split_size=[8, 8], depth=[3],
                                    num_heads=[4], expansion_factor=2, upscale=4,
                                    resi_connection="3conv", upsampler="pixelshuffledirect"),
    "drct_x2": lambda: DRCT.DRCT(img_size=32, embed_dim=12, depths=[6, 6], num_heads=[2, 2],
                                 window_size=16, upscale=2, upsampler="pixelshuffle", gc=4),
    "rgt_x2": lambda: RGT.RGT(img_size=16, embed_dim=32, depth=[4, 3], num_heads=[4, 4],
                              mlp_ratio=2, upscale=2, split_size=[4, 8]),
    "srformer_x2": lambda: srformer(img_size=16, window_size=8, upscale=2,
                                    upsampler="pixelshuffledirect"),
    "srformer_x4_odd": lambda: srformer(img_size=12, window_size=6, upscale=4,
                                        upsampler="nearest+conv"),
    "omnisr_x2": lambda: OmniSR.OmniSR(num_feat=16, block_num=1, res_num=2, up_scale=2),
    "omnisr_x4_nope": lambda: OmniSR.OmniSR(num_feat=16, block_num=2, res_num=1, up_scale=4,
                                            pe=False),
    "realplksr_x4": lambda: PLKSR.RealPLKSR(dim=16, n_blocks=2, upscaling_factor=4, kernel_size=17),
    "realplksr_x2_dysample": lambda: PLKSR.RealPLKSR(dim=16, n_blocks=2, upscaling_factor=2,
                                                     dysample=True),
    "realplksr_x3_dysample": lambda: PLKSR.RealPLKSR(dim=16, n_blocks=1, upscaling_factor=3,
                                                     dysample=True, layer_norm=True),
    "realplksr_x1": lambda: PLKSR.RealPLKSR(dim=16, n_blocks=2, upscaling_factor=1,
                                            use_ea=False),
    "plksr_x2": lambda: PLKSR.PLKSR(dim=16, n_blocks=2, upscaling_factor=2, kernel_size=13),
    "mosr_x2": lambda: MoSR.MoSR(dim=16, n_block=2, upscale=2),
    "mosr_x4_dys": lambda: MoSR.MoSR(dim=16, n_block=2, upscale=4, upsampler="dys"),
    "mosr_x2_gps": lambda: MoSR.MoSR(dim=16, n_block=1, upscale=2, upsampler="gps",
                                     conv_ratio=0.5),
    "rcan_x4": lambda: RCAN.RCAN(scale=4, n_resgroups=2, n_resblocks=2, n_feats=16, reduction=4),
    "rcan_x3": lambda: RCAN.RCAN(scale=3, n_resgroups=1, n_resblocks=1, n_feats=16, reduction=4,
                                 norm=False),
    "rcan_x2_unshuffle": lambda: RCAN.RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=16,
                                           reduction=4, norm=False, unshuffle_mod=True),
    "cugan_x2": lambda: RealCUGAN.UpCunet2x(),
    "cugan_x2_pro": lambda: RealCUGAN.UpCunet2x(pro=True),
    "cugan_x2_fast": lambda: RealCUGAN.UpCunet2x_fast(),
    "cugan_x3": lambda: RealCUGAN.UpCunet3x(),
    "cugan_x4": lambda: RealCUGAN.UpCunet4x(),
    "safmn_x2": lambda: SAFMN.SAFMN(dim=16, n_blocks=2, upscaling_factor=2),
    "safmn_x4": lambda: SAFMN.SAFMN(dim=8, n_blocks=1, ffn_scale=1.5, upscaling_factor=4),
    "swiftsrgan_x2": lambda: SwiftSRGAN.SwiftSRGAN(num_channels=12, num_blocks=2, upscale_factor=2),
    "swiftsrgan_x4": lambda: SwiftSRGAN.SwiftSRGAN(num_channels=8, num_blocks=1, upscale_factor=4),
    "esrgan_plus_x4": lambda: rrdb(num_filters=16, num_blocks=2, scale=4, plus=True),
    "esrgan_1to3_x4": lambda: rrdb(in_nc=1, num_filters=16, num_blocks=1, scale=4),
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    install()
    for name in sys.argv[2:] or NETWORKS:
        torch.manual_seed(5)
        network = randomize(NETWORKS[name]())
        path = folder / f"{name}.pth"
        torch.save({"params_ema": network.state_dict()}, path)
        model = ModelLoader().load_from_file(path)
        model.model.eval()
        for width, height in SIZES:
            colour = picture(3, width, height)
            with torch.no_grad():
                if model.input_channels == 1:
                    weights = torch.tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
                    colour = (colour * weights).sum(1, keepdim=True)
                result = whole_numbers(model, colour)
            np.save(folder / f"{name}.{width}x{height}.npy", result.numpy())
        print(name, model.architecture.id, model.scale, float(result.min()), float(result.max()))


main()
