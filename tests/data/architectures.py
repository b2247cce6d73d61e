"""Write small networks of many architectures with random weights, and spandrel's outputs for them.

    python architectures.py FOLDER [NAME …]

`SIZES=22x19` sets the sizes of the inputs. The folder `architectures/` was made in this manner.

Needs torch, numpy, spandrel, spandrel_extra_arches and, for what spandrel lacks, resselt. `UPSCALE_REFERENCES=FOLDER cargo nextest run
--test model references` compares them with the graphs that this project builds, and prints a table.
"""

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from resselt.archs.mosrv2.arch import MoSRv2
from resselt.archs.rtmosr.arch import RTMoSR
from resselt.archs.spanplus.arch import SpanPlus
from spandrel import ModelLoader, SizeRequirements
from spandrel.architectures import (
    ATD, DAT, DCTLSA, DITN, DRCT, DRUNet, DnCNN, FBCNN, FDAT, GFPGAN, HAT, MoESR, MoSR, NAFNet,
    OmniSR, PLKSR, RCAN, RGT, RealCUGAN, SAFMN, SCUNet, Swin2SR, SwiftSRGAN, SwinIR)
from spandrel_extra_arches import install
from spandrel_extra_arches.architectures.CodeFormer import CodeFormer
from spandrel_extra_arches.architectures.SRFormer import SRFormer

SIZES = [tuple(map(int, size.split("x")))
         for size in os.environ.get("SIZES", "45x51 64x47 53x42").split()]


def picture(channels, width, height):
    """Sample i is (37 i mod 101) / 100, as in the tests."""
    samples = torch.arange(channels * height * width) * 37 % 101 / 100
    return samples.view(1, channels, height, width)


def randomize(network):
    """Weights that matter everywhere, also where training starts from zeros or ones."""
    # The weights of these are small at first: what they compute would be next to nothing.
    spread = 0.12 if isinstance(network, (FDAT.FDAT, MoESR.MoESR, MoSRv2)) else 0.03
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and "rpe_biases" not in name and "init_pos" not in name \
                    and "mask" not in name and "relative_" not in name.replace("relative_position_bias_table", ""):
                value += torch.randn_like(value) * spread
                if "running_var" in name:
                    value.abs_()
    return network.eval()


def whole_numbers(model, x):
    """The output, padded as spandrel does it, without its clamping to 0..1."""
    height, width = x.shape[2:]
    right, bottom = model.size_requirements.get_padding(width, height)
    x = F.pad(x, (0, right, 0, bottom), "reflect")
    # Some networks change their input.
    output = model._call_fn(model.model, x.clone())
    return output[:, :, : height * model.scale, : width * model.scale]


def swinir(**how):
    return SwinIR.SwinIR(img_size=16, embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=4,
                         mlp_ratio=2, **how)


def rrdb(**how):
    return importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB").RRDBNet(**how)


def swin2sr(**how):
    return Swin2SR.Swin2SR(**{"img_size": 16, "embed_dim": 12, "depths": [2, 2],
                              "num_heads": [2, 3], "window_size": 4, "mlp_ratio": 2, **how})


def fdat(**how):
    return FDAT.FDAT(**{"embed_dim": 16, "num_groups": 1, "depth_per_group": 1, "mid_dim": 12,
                        "aim_reduction_ratio": 4, **how})


def atd(**how):
    return ATD.ATD(**{"img_size": 16, "embed_dim": 12, "depths": [3], "num_heads": [2],
                      "window_size": 4, "num_tokens": 16, "category_size": 256,
                      "reducted_dim": 4, "convffn_kernel_size": 5, "mlp_ratio": 2, **how})


def narrow_saoyan():
    """DnCNN as SaoYan/DnCNN-PyTorch has it, which spandrel does not load."""
    def layers(inputs, outputs):
        return [torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]

    body = [part for _ in range(4)
            for part in [*layers(8, 8), torch.nn.BatchNorm2d(8), torch.nn.ReLU()]]
    stack = torch.nn.Sequential(*layers(1, 8), torch.nn.ReLU(), *body, *layers(8, 1))
    return torch.nn.ModuleDict({"dncnn": stack})


def narrow_fbcnn():
    """FBCNN's dense layers have 512 features; these have 12."""
    network = FBCNN.FBCNN(in_nc=1, out_nc=1, nc=[3, 4, 5, 12], nb=2)
    sides = {512: 12}
    for part in network.modules():
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Linear):
                inputs, outputs = (sides.get(side, side)
                                   for side in (layer.in_features, layer.out_features))
                part.register_module(name, torch.nn.Linear(inputs, outputs))
    return network


def narrow_scunet():
    """SCUNet's heads have 32 channels; these have 2."""
    module = importlib.import_module("spandrel.architectures.SCUNet.__arch.SCUNet")
    block = module.ConvTransBlock
    module.ConvTransBlock = lambda conv, trans, _, *rest: block(conv, trans, 2, *rest)
    network = module.SCUNet(config=[1, 0, 0, 2, 0, 0, 1], dim=4)
    module.ConvTransBlock = block
    return network


def loaded(name, network, path):
    """The network as spandrel loads it; those that it cannot load, as they are."""
    if isinstance(network, (MoSRv2, RTMoSR, SpanPlus)):
        scale = int(name.split("_x")[1][0])
        return SimpleNamespace(model=network, scale=scale, input_channels=3, output_channels=3,
                               _call_fn=lambda model, x: model(x),
                               size_requirements=SizeRequirements(),
                               architecture=SimpleNamespace(id=type(network).__name__))
    if name in FACES:
        # spandrel leaves the range of values to the caller, and the noise of GFPGAN to chance.
        how = {"randomize_noise": False} if "gfpgan" in name else {}
        return SimpleNamespace(model=network, scale=1, input_channels=3, output_channels=3,
                               _call_fn=lambda model, x: (model(2 * x - 1, **how)[0] + 1) / 2,
                               size_requirements=SizeRequirements(),
                               architecture=SimpleNamespace(id=type(network).__name__))
    if "narrow" not in name:
        model = ModelLoader().load_from_file(path)
        if "aux" in name or "atd" in name:
            # Swin2SR enlarges the padded image to the size that the original would have; ATD
            # repeats the border sample.
            model.size_requirements = SizeRequirements(multiple_of=network.window_size)
        return model
    channels = next(iter(network.parameters())).shape[1]
    call = {
        "fbcnn_luma_narrow": lambda model, x: model(x)[0],
        "dncnn_saoyan_narrow": lambda model, x: x - model["dncnn"](x),
    }.get(name, lambda model, x: model(x))
    needs = SizeRequirements(multiple_of=64 if "scunet" in name else 1)
    return SimpleNamespace(model=network, scale=1, input_channels=channels,
                           output_channels=channels, _call_fn=call, size_requirements=needs,
                           architecture=SimpleNamespace(id=name))


def srformer(**how):
    return SRFormer(embed_dim=16, depths=[2, 2], num_heads=[2, 2], mlp_ratio=2, **how)


# Networks that restore aligned faces, and the side of their input.
FACES = {"gfpgan": 512, "gfpgan_narrow": 32, "codeformer": 512}

NETWORKS = {
    "gfpgan": lambda: GFPGAN.GFPGAN(),
    "gfpgan_narrow": lambda: GFPGAN.GFPGAN(out_size=32, num_style_feat=8, channel_multiplier=1,
                                           narrow=1 / 64, num_mlp=1),
    "codeformer": lambda: CodeFormer(),
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
    "moesr_x2": lambda: MoESR.MoESR(dim=16, n_blocks=1, n_block=1, scale=2),
    "moesr_x2_small": lambda: MoESR.MoESR(dim=8, n_blocks=1, n_block=1, scale=2,
                                          upsampler="pixelshuffledirect"),
    "moesr_x3": lambda: MoESR.MoESR(dim=16, n_blocks=1, n_block=1, scale=3,
                                    upsampler="pixelshuffle", upsample_dim=8),
    "mosrv2_x4": lambda: MoSRv2(scale=4, n_block=2, dim=16),
    "mosrv2_x2_unshuffle": lambda: MoSRv2(scale=2, n_block=1, dim=16, rms_norm=True),
    "mosrv2_x1_unshuffle": lambda: MoSRv2(scale=1, n_block=1, dim=16),
    "mosrv2_x3_shuffle": lambda: MoSRv2(scale=3, n_block=1, dim=16, mid_dim=8,
                                        upsampler="pixelshuffle"),
    "mosrv2_x4_nearest": lambda: MoSRv2(scale=4, n_block=1, dim=8, upsampler="nearest+conv"),
    "mosrv2_x2_dysample": lambda: MoSRv2(scale=2, n_block=1, dim=16, mid_dim=8,
                                         unshuffle_mod=False, upsampler="dysample"),
    "mosrv2_x2_small": lambda: MoSRv2(scale=2, n_block=1, dim=8),
    "rtmosr_x2_small": lambda: RTMoSR(scale=2, dim=4, ffn_expansion=1, n_blocks=1),
    "rtmosr_x2": lambda: RTMoSR(scale=2, dim=8),
    "rtmosr_x4_plain": lambda: RTMoSR(scale=4, dim=8, se=False, dccm=False, n_blocks=1),
    "rtmosr_x2_unshuffle": lambda: RTMoSR(scale=2, dim=8, unshuffle_mod=True, n_blocks=1),
    "spanplus_x2": lambda: SpanPlus(blocks=[1], feature_channels=8, upscale=2, upsampler="ps"),
    "spanplus_x2_small": lambda: SpanPlus(blocks=[1], feature_channels=4, upscale=2,
                                          upsampler="ps"),
    "spanplus_x4_dysample": lambda: SpanPlus(blocks=[2, 1], feature_channels=8, upscale=4),
    "spanplus_x1": lambda: SpanPlus(blocks=[1], feature_channels=8, upscale=1, upsampler="conv"),
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
    "atd_x2": lambda: atd(upscale=2, upsampler="pixelshuffledirect"),
    "atd_x2_small": lambda: atd(upscale=2, upsampler="pixelshuffledirect", embed_dim=8,
                                depths=[2]),
    "atd_x3": lambda: atd(upscale=3, upsampler="pixelshuffle", depths=[2, 2], num_heads=[2, 2]),
    "atd_x4_real": lambda: atd(upscale=4, upsampler="nearest+conv", resi_connection="3conv",
                               qkv_bias=False),
    "atd_x2_light": lambda: atd(upscale=2, upsampler="pixelshuffledirect", embed_dim=48,
                                category_size=128),
    "dctlsa_x2": lambda: DCTLSA.DCTLSA(nf=10, upscale=2),
    "dctlsa_x2_small": lambda: DCTLSA.DCTLSA(nf=5, upscale=2),
    "ditn_x2": lambda: DITN.DITN(dim=16, ITL_blocks=2, SAL_blocks=2, UFONE_blocks=2, upscale=2),
    "ditn_x4": lambda: DITN.DITN(dim=12, ITL_blocks=1, SAL_blocks=1, bias=True, upscale=4),
    "swin2sr_x2": lambda: swin2sr(upscale=2, upsampler="pixelshuffle"),
    "swin2sr_x2_small": lambda: swin2sr(upscale=2, embed_dim=8, depths=[2], num_heads=[2],
                                        upsampler="pixelshuffledirect"),
    "swin2sr_x3_light": lambda: swin2sr(upscale=3, upsampler="pixelshuffledirect"),
    "swin2sr_x4_real": lambda: swin2sr(upscale=4, upsampler="nearest+conv",
                                       resi_connection="3conv"),
    "swin2sr_x4_aux": lambda: swin2sr(upscale=4, upsampler="pixelshuffle_aux"),
    "swin2sr_x1": lambda: swin2sr(img_size=14, window_size=7, upscale=1, img_range=255.0),
    "swin2sr_x2_unshifted": lambda: swin2sr(img_size=8, window_size=8, depths=[2], num_heads=[2],
                                            upscale=2, upsampler="pixelshuffledirect"),
    "fdat_x4": lambda: fdat(scale=4, num_groups=2),
    "fdat_x2_unshuffle": lambda: fdat(scale=2, unshuffle_mod=True),
    "fdat_x1_unshuffle": lambda: fdat(scale=1, unshuffle_mod=True, upsampler_type="pixelshuffle"),
    "fdat_x3": lambda: fdat(scale=3, window_size=4),
    "fdat_x2_direct": lambda: fdat(scale=2, upsampler_type="pixelshuffledirect"),
    "fdat_x3_nearest": lambda: fdat(scale=3, upsampler_type="nearest+conv"),
    "fdat_x4_nearest": lambda: fdat(scale=4, upsampler_type="nearest+conv"),
    "fdat_x2_dysample": lambda: fdat(scale=2, upsampler_type="dysample"),
    "fdat_x4_pa": lambda: fdat(scale=4, mid_dim=16, upsampler_type="pa_up"),
    "dncnn": lambda: DnCNN.DnCNN(in_nc=3, out_nc=3, nc=12, nb=6),
    "dncnn_luma_merged": lambda: DnCNN.DnCNN(nc=12, nb=8, act_mode="R"),
    "dncnn_saoyan_narrow": narrow_saoyan,
    "fdncnn": lambda: DnCNN.DnCNN(in_nc=4, out_nc=3, nc=12, nb=8, act_mode="R", mode="FDnCNN"),
    "drunet": lambda: DRUNet.DRUNet(in_nc=4, out_nc=3, nc=[8, 12, 16, 20], nb=3),
    "drunet_luma": lambda: DRUNet.DRUNet(in_nc=2, out_nc=1, nc=[3, 4, 5, 6], nb=2),
    "fbcnn": lambda: FBCNN.FBCNN(nc=[8, 8, 12, 512], nb=2),
    "fbcnn_luma_narrow": narrow_fbcnn,
    "nafnet": lambda: NAFNet.NAFNet(width=4, middle_blk_num=1, enc_blk_nums=[1, 2],
                                    dec_blk_nums=[1, 1]),
    "nafnet_deep": lambda: NAFNet.NAFNet(width=8, middle_blk_num=2, enc_blk_nums=[1, 1, 1, 2],
                                         dec_blk_nums=[1, 1, 1, 1]),
    "scunet": lambda: SCUNet.SCUNet(config=[2, 1, 1, 2, 1, 1, 2], dim=64),
    "scunet_narrow": narrow_scunet,
    "esrgan_plus_x4": lambda: rrdb(num_filters=16, num_blocks=2, scale=4, plus=True),
    "esrgan_1to3_x4": lambda: rrdb(in_nc=1, num_filters=16, num_blocks=1, scale=4),
}


def portable():
    """PyTorch without pinned memory, which needs a GPU, and with one order of equal values, which
    ATD leaves open."""
    make, sort = torch.tensor, torch.sort
    torch.tensor = lambda *data, pin_memory=False, **how: make(*data, **how)
    torch.sort = lambda *data, stable=False, **how: sort(*data, stable=True, **how)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    install()
    portable()
    for name in sys.argv[2:] or NETWORKS:
        torch.manual_seed(5)
        network = randomize(NETWORKS[name]())
        path = folder / f"{name}.pth"
        torch.save({"params_ema": network.state_dict()}, path)
        model = loaded(name, network, path)
        model.model.eval()
        sizes = [(FACES[name],) * 2] if name in FACES else SIZES
        for width, height in sizes:
            luma = (model.input_channels, model.output_channels) == (1, 1)
            colour = picture(1 if luma else 3, width, height)
            with torch.no_grad():
                if model.input_channels == 1 and not luma:
                    weights = torch.tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
                    colour = (colour * weights).sum(1, keepdim=True)
                result = whole_numbers(model, colour)
            np.save(folder / f"{name}.{width}x{height}.npy", result.numpy())
        print(name, model.architecture.id, model.scale, float(result.min()), float(result.max()))


if __name__ == "__main__":
    main()
