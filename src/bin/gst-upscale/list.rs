//! `models list` and `models show`.

use std::error::Error;

use gstupscale::model::{
    Model, ModelInfo,
    catalogue::{self, Entry, Purpose},
};

pub fn list() {
    println!(
        "{:<28} {:>6} {:<12} {:>9}  {:<18} on disk",
        "NAME", "FACTOR", "FOR", "SIZE", "LICENCE"
    );
    for entry in catalogue::entries() {
        println!(
            "{:<28} {:>6} {:<12} {:>9}  {:<18} {}",
            entry.name,
            format!("{}x", entry.factor),
            purpose(entry.purpose),
            entry.size.map_or("-".into(), |size| format!("{:.1} MB", size as f64 / 1e6)),
            entry.licence,
            here(entry),
        );
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Photo => "photo",
        Purpose::Anime => "anime",
        Purpose::General => "general",
        Purpose::Restoration => "restoration",
    }
}

fn here(entry: &Entry) -> &'static str {
    match (&entry.url, entry.is_here()) {
        (None, _) => "built in",
        (_, true) => "yes",
        (_, false) => "no",
    }
}

pub fn show(name: &str) -> Result<(), Box<dyn Error>> {
    let entry = catalogue::find(name);
    if let Some(entry) = entry {
        println!("name                {}", entry.name);
        println!("architecture        {}", entry.architecture);
        println!("for                 {}: {}", purpose(entry.purpose), entry.about);
        println!("licence             {}", entry.licence);
        if let (Some(url), Some(sum)) = (&entry.url, &entry.sha256) {
            println!("address             {url}");
            println!("sha256              {sum}");
        }
        println!("on disk             {}", here(entry));
        if !entry.is_here() {
            println!("factor              {}x", entry.factor);
            return Ok(());
        }
    }
    info(&Model::open(name)?.info);
    Ok(())
}

/// What the model's graph says of itself.
pub fn info(info: &ModelInfo) {
    println!("factor              {}x", info.factor);
    println!("channels            {:?}", info.channels);
    match info.halo {
        Some(halo) => println!("receptive field     {0} x {0} pixels (halo {halo})", 2 * halo + 1),
        None => println!("receptive field     not bounded: frames are run whole"),
    }
    match info.fixed_size {
        Some((width, height)) => println!("input size          {width} x {height} only"),
        None => {
            println!("input size          multiples of {}, at least {}", info.align, info.min_side)
        }
    }
    println!("parameters          {}", info.parameters);
    println!("multiply-adds       {:.0} per input pixel", info.macs_per_pixel);
    println!("working memory      {:.0} bytes per input pixel", info.peak_floats_per_pixel * 4.0);
}
