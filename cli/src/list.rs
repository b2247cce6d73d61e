//! `models list` and `models show`.

use std::error::Error;

use gstupscale::model::{
    Model, ModelInfo,
    catalogue::{self, Entry, Purpose},
};

use crate::print;

/// # Errors
/// See [`print::Error`].
pub fn list() -> Result<(), print::Error> {
    say!("{:<28} {:>6} {:<12} {:>9}  {:<18} on disk", "NAME", "FACTOR", "FOR", "SIZE", "LICENCE")?;
    for entry in catalogue::entries() {
        say!(
            "{:<28} {:>6} {:<12} {:>9}  {:<18} {}",
            entry.name,
            format!("{}x", entry.factor),
            purpose(entry.purpose),
            entry.size.map_or("-".into(), |size| format!("{:.1} MB", size as f64 / 1e6)),
            entry.licence,
            here(entry),
        )?;
    }
    Ok(())
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
        say!("name                {}", entry.name)?;
        say!("architecture        {}", entry.architecture)?;
        say!("for                 {}: {}", purpose(entry.purpose), entry.about)?;
        say!("licence             {}", entry.licence)?;
        if let (Some(url), Some(sum)) = (&entry.url, &entry.sha256) {
            say!("address             {url}")?;
            say!("sha256              {sum}")?;
        }
        say!("on disk             {}", here(entry))?;
        if !entry.is_here() {
            say!("factor              {}x", entry.factor)?;
            return Ok(());
        }
    }
    Ok(info(&Model::open(name)?.info)?)
}

/// What the model's graph says of itself.
///
/// # Errors
/// See [`print::Error`].
pub fn info(info: &ModelInfo) -> Result<(), print::Error> {
    say!("factor              {}x", info.factor)?;
    say!("channels            {:?}", info.channels)?;
    match info.halo {
        Some(halo) => say!("receptive field     {0} x {0} pixels (halo {halo})", 2 * halo + 1)?,
        None => say!("receptive field     not bounded: frames are run whole")?,
    }
    match info.fixed_size {
        Some((width, height)) => say!("input size          {width} x {height} only")?,
        None => {
            say!("input size          multiples of {}, at least {}", info.align, info.min_side)?
        }
    }
    say!("parameters          {}", info.parameters)?;
    say!("multiply-adds       {:.0} per input pixel", info.macs_per_pixel)?;
    say!("working memory      {:.0} bytes per input pixel", info.peak_floats_per_pixel * 4.0)
}
