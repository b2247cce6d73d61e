//! Invalid and malicious checkpoints are rejected, with little memory.

use crate::common::checkpoint as files;
use bytes::Bytes;
use gstupscale::model::internals::{
    Fault, Hints, StateDict, architecture_name, build_network, parse_checkpoint,
};
use zip::CompressionMethod;

use crate::common::checkpoint::{Random, Tensors, compact};

fn parse(content: &[u8]) -> Result<StateDict, Fault> {
    parse_checkpoint(&Bytes::copy_from_slice(content))
}

/// Safetensors of these tensors.
fn safetensors(tensors: &Tensors) -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<_> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// One network in every container.
fn containers() -> Vec<Vec<u8>> {
    let tensors = compact(4, 1, 2);
    vec![
        files::pth(&tensors, "params", CompressionMethod::Stored),
        files::pth(&tensors, "", CompressionMethod::Deflated),
        files::stream(&tensors, "params_ema"),
        safetensors(&tensors),
    ]
}

/// A zip with this pickle, after its protocol, and these storages.
fn zip(pickle: &[u8], storages: &[(&str, usize)]) -> Vec<u8> {
    let mut entries = vec![("data.pkl".to_owned(), [b"\x80\x02", pickle].concat())];
    entries.extend(storages.iter().map(|(key, size)| (format!("data/{key}"), vec![0; *size])));
    files::zip(&entries, CompressionMethod::Stored)
}

/// A dict of one tensor of this shape, over a storage that says it has `count` elements.
fn one(count: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let mut pickle = b"}".to_vec();
    files::text(&mut pickle, "weight");
    files::tensor(&mut pickle, "0", count, offset, shape, strides, false);
    pickle.extend(b"s.");
    pickle
}

#[test]
fn valid_checkpoints_are_read() {
    for content in containers() {
        let weights = parse(&content).unwrap();
        assert_eq!(weights.names().count(), 8);
        assert_eq!(architecture_name(&weights), Some("SRVGGNetCompact"));
    }
}

#[test]
fn truncated_checkpoints_are_rejected() {
    for (kind, content) in containers().iter().enumerate() {
        for end in (0..content.len()).step_by(7).chain(content.len() - 40..content.len()) {
            assert!(parse(&content[..end]).is_err(), "container {kind}, {end} bytes");
        }
    }
}

#[test]
fn changed_bytes_do_not_panic() {
    let (containers, mut random) = (containers(), Random(99));
    for _ in 0..3000 {
        let mut content = containers[random.below(containers.len())].clone();
        for _ in 0..=random.below(6) {
            // The structure is near the ends.
            let near = random.below(content.len().min(2000));
            let position = match random.below(3) {
                0 => near,
                1 => content.len() - 1 - near,
                _ => random.below(content.len()),
            };
            content[position] = match random.below(3) {
                0 => random.below(256) as u8,
                1 => content[position] ^ (1 << random.below(8)),
                _ => content[random.below(content.len())],
            };
        }
        if let Ok(weights) = parse(&content) {
            let _ = build_network(&weights, &Hints::default());
        }
    }
}

#[test]
fn the_checksum_detects_a_changed_weight() {
    let mut content = files::pth(&compact(4, 1, 2), "", CompressionMethod::Stored);
    let weights = parse(&content).unwrap();
    let needle = weights.get("body.0.weight").unwrap().data.slice(40..56);
    let at = content.windows(16).position(|bytes| bytes == needle).unwrap();
    content[at] ^= 1;
    let error = parse(&content).unwrap_err().to_string();
    assert!(error.contains("body.0.weight") && error.contains("checksum"), "{error}");
}

#[test]
fn invalid_shapes_are_rejected() {
    for (what, pickle) in [
        ("huge", one(4, 0, &[usize::MAX >> 1], &[1])),
        ("overflowing", one(4, 0, &[1 << 40, 1 << 40], &[1 << 40, 1])),
        ("beyond the storage", one(4, 0, &[5], &[1])),
        ("beyond the entry", one(400, 0, &[400], &[1])),
        ("after the storage", one(4, 4, &[1], &[1])),
        ("repeated without end", one(4, 0, &[1 << 40], &[0])),
        ("striding out", one(4, 0, &[2, 2], &[usize::MAX / 2, 1])),
    ] {
        let error = parse(&zip(&pickle, &[("0", 16)])).unwrap_err();
        assert!(matches!(&error, Fault::Damaged(why) if why.contains("weight")), "{what}: {error}");
    }
    // 2⁶³ is negative in the eight bytes of a pickle.
    let negative = parse(&zip(&one(4, 0, &[1 << 63], &[1]), &[("0", 16)]));
    assert!(matches!(negative, Err(Fault::Damaged(_))));
    let missing = parse(&zip(&one(4, 0, &[4], &[1]), &[])).unwrap_err().to_string();
    assert!(missing.contains("weight") && missing.contains("data/0"), "{missing}");
    assert!(parse(&zip(&one(4, 0, &[4], &[1]), &[("0", 16)])).is_ok());
}

#[test]
fn other_globals_are_rejected_by_name() {
    for (name, pickle) in [
        ("os.system", b"cos\nsystem\n(X\x04\x00\x00\x00truetR.".as_slice()),
        ("builtins.eval", b"\x8c\x08builtins\x8c\x04eval\x93."),
        ("torch.load", b"ctorch\nload\n."),
        ("torch.QStorage", b"ctorch\nQStorage\n."),
    ] {
        let error = parse(&zip(pickle, &[])).unwrap_err();
        assert!(matches!(&error, Fault::Unsuitable(why) if why.contains(name)), "{error}");
    }
    for opcodes in [b"i".as_slice(), b"o", b"P1\n", b"\x82\x01"] {
        assert!(matches!(parse(&zip(opcodes, &[])), Err(Fault::Damaged(_))));
    }
}

/// A dict of one tensor, whose entry "other" is what the opcodes of `object` make.
fn with_other(object: &[u8]) -> Vec<u8> {
    let mut pickle = b"}".to_vec();
    files::text(&mut pickle, "other");
    pickle.extend(object);
    pickle.push(b's');
    files::text(&mut pickle, "params");
    pickle.push(b'}');
    files::text(&mut pickle, "weight");
    files::tensor(&mut pickle, "0", 4, 0, &[4], &[1], false);
    pickle.extend(b"ss.");
    pickle
}

#[test]
fn objects_that_the_weights_do_not_need_are_not_read() {
    for (what, object) in [
        ("Counter", b"ccollections\nCounter\n}X\x01\x00\x00\x00aK\x02s\x85R".as_slice()),
        ("defaultdict", b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RK\x01]s"),
        ("Namespace", b"cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00aK\x02sb"),
        ("path", b"cpathlib\nPosixPath\n(X\x01\x00\x00\x00/tR"),
        ("date", b"cdatetime\ndatetime\n(K\x01K\x02tR"),
        ("keyword arguments", b"ca\nB\n)}\x92"),
        ("list subclass", b"ca\nB\n)\x81(K\x01K\x02e"),
    ] {
        let weights = parse(&zip(&with_other(object), &[("0", 16)]));
        let weights = weights.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(weights.names().collect::<Vec<_>>(), ["weight"], "{what}");
    }
}

#[test]
fn weights_that_are_foreign_objects_are_rejected_by_name() {
    let module = b"}X\x05\x00\x00\x00modelcnets\nNet\n)\x81}bs.";
    let error = parse(&zip(module, &[])).unwrap_err().to_string();
    assert!(error.contains("\"model\"") && error.contains("nets.Net"), "{error}");
    let sparse = b"}X\x01\x00\x00\x00wctorch._utils\n_rebuild_sparse_tensor\n)RsX\x01\x00\x00\x00v";
    let mut pickle = sparse.to_vec();
    files::tensor(&mut pickle, "0", 4, 0, &[4], &[1], false);
    pickle.extend(b"s.");
    let error = parse(&zip(&pickle, &[("0", 16)])).unwrap_err().to_string();
    assert!(error.contains("\"w\"") && error.contains("_rebuild_sparse_tensor"), "{error}");
}

#[test]
fn an_archive_opens_whatever_the_length_of_its_folders_name() {
    let pickle = [b"\x80\x02".as_slice(), &one(4, 0, &[4], &[1])].concat();
    for length in 1..80 {
        let entries = [("data.pkl".into(), pickle.clone()), ("data/0".into(), vec![0; 16])];
        let content = files::zip64(&"f".repeat(length), &entries);
        assert!(parse(&content).is_ok(), "a name of {length} letters");
    }
}

#[test]
fn depth_cycles_and_length_are_limited() {
    // A million nested lists; a dict that contains itself under a known key.
    let deep = [vec![b']'; 1_000_000], vec![b'a'; 999_999], b".".to_vec()].concat();
    assert!(parse(&zip(&deep, &[])).is_err());
    let cycle = b"}q\x00X\x05\x00\x00\x00modelh\x00s.";
    assert!(matches!(parse(&zip(cycle, &[])), Err(Fault::Damaged(why)) if why.contains("deep")));
    let wrapped = "module.".repeat(1 << 20);
    let mut pickle = b"}".to_vec();
    files::text(&mut pickle, &wrapped);
    files::tensor(&mut pickle, "0", 1, 0, &[1], &[1], false);
    pickle.extend(b"s.");
    let error = parse(&zip(&pickle, &[("0", 4)])).unwrap_err().to_string();
    assert!(error.contains("longer than") && error.len() < 200);
    let endless = vec![b'N'; 3 << 20];
    assert!(
        matches!(parse(&zip(&endless, &[])), Err(Fault::Damaged(why)) if why.contains("opcodes"))
    );
}

#[test]
fn zip_bombs_are_rejected() {
    let count = 100 << 20;
    let mut pickle = b"\x80\x02".to_vec();
    pickle.extend(one(count / 4, 0, &[count / 4], &[1]));
    let entries = [("data.pkl".to_owned(), pickle), ("data/0".to_owned(), vec![0; count])];
    let bomb = files::zip(&entries, CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    let error = parse(&bomb).unwrap_err().to_string();
    assert!(error.contains("far more memory than the size of the file"), "{error}");
}

#[test]
fn invalid_safetensors_are_rejected() {
    let file = |header: &str, data: usize| {
        let length = (header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), &vec![0; data]].concat()
    };
    for header in [
        r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        r#"{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
        r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
        r#"{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"w":"#,
    ] {
        assert!(parse(&file(header, 4)).is_err(), "{header}");
    }
    let valid = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert!(parse(&file(valid, 4)).is_ok());
}
