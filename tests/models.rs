//! Model files of every kind, opened.

mod common;

use common::test_data;
use gstupscale::{
    frame::Channels,
    model::{Error, Model},
};

/// Opens a file of the test data's weights; `None`, saying so, where they are absent.
fn open(file: &str) -> Option<Model> {
    let path = test_data()?.join("weights").join(file);
    Some(Model::open(&path.display().to_string()).unwrap_or_else(|error| panic!("{file}: {error}")))
}

#[test]
fn the_onnx_of_animevideov3_is_understood_and_kept_as_it_is() {
    let Some(model) = open("realesr-animevideov3.onnx") else { return };
    let info = &model.info;
    assert_eq!((info.factor, info.halo, info.align), (4, Some(18), 1));
    assert_eq!((info.channels, info.parameters), (Channels::Rgb, 621_424));
    assert_eq!((info.min_side, info.fixed_size), (1, None));
    assert!(info.batch && model.graph.is_some());
    assert_eq!(
        model.onnx.len() as u64,
        test_data().unwrap().join("weights/realesr-animevideov3.onnx").metadata().unwrap().len()
    );
}

#[test]
fn ncnn_and_tensorflow_files_are_understood() {
    for (file, factor, channels) in [
        ("realesr-animevideov3-x4.param", 4, Channels::Rgb),
        ("realesr-animevideov3-x2.param", 2, Channels::Rgb),
        ("FSRCNN_x2.pb", 2, Channels::Luma),
        ("LapSRN_x2.pb", 2, Channels::Luma),
    ] {
        let Some(model) = open(file) else { return };
        let info = &model.info;
        assert_eq!((info.factor, info.channels), (factor, channels), "{file}");
        assert!(info.halo.is_some_and(|halo| (4..40).contains(&halo)), "{file}: {:?}", info.halo);
        println!("{file}: {info:?}");
    }
}

#[test]
fn the_built_in_model_doubles_luma() {
    let info = Model::open("builtin").unwrap().info;
    assert_eq!((info.factor, info.channels, info.fixed_size), (2, Channels::Luma, None));
    assert!(info.halo.is_some());
    println!("{info:?}");
}

#[test]
fn what_is_not_there_is_told_with_what_to_do() {
    let error = Model::open("no/such/model.onnx").unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { known, .. } if known.contains("builtin")),
        "{error}"
    );
    let error = Model::open("/").unwrap_err();
    assert!(error.to_string().contains("folder"), "{error}");
    if gstupscale::model::catalogue::find("RealESRGAN_x2plus").is_some_and(|entry| !entry.is_here())
    {
        let error = Model::open("RealESRGAN_x2plus").unwrap_err();
        assert!(error.to_string().contains("models fetch RealESRGAN_x2plus"), "{error}");
    }
}

#[test]
fn a_chain_is_one_model() {
    let chain = Model::open("builtin, builtin").unwrap();
    let one = Model::open("builtin").unwrap();
    assert_eq!((chain.info.factor, chain.info.channels), (4, Channels::Luma));
    assert_eq!(chain.info.parameters, 2 * one.info.parameters);
    assert!(chain.info.halo > one.info.halo);
}
