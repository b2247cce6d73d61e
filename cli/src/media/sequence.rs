//! Names of picture sequences, such as `frame%05d.png`.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A file name with a number in it, in the notation of `printf`: `%d` or `%05d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    directory: PathBuf,
    before: String,
    /// The least number of digits.
    digits: usize,
    after: String,
}

impl Pattern {
    /// The pattern that `path` is, if its file name is one.
    pub fn of(path: &Path) -> Option<Self> {
        let (before, rest) = path.file_name()?.to_str()?.split_once('%')?;
        let (width, after) = rest.split_once('d')?;
        let is_padded = width.len() >= 2 && width.starts_with('0');
        if !(width.is_empty() || is_padded) || after.contains('%') {
            return None;
        }
        let digits = if width.is_empty() { 1 } else { width.parse().ok().filter(|it| *it < 20)? };
        let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Some(Self { directory, before: before.into(), digits, after: after.into() })
    }

    /// The path with this number.
    pub fn path(&self, number: u64) -> PathBuf {
        let Self { before, digits, after, .. } = self;
        self.directory.join(format!("{before}{number:0digits$}{after}"))
    }

    /// The numbers of the files that exist, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let here = Path::new(".");
        let directory = if self.directory == Path::new("") { here } else { &self.directory };
        let mut numbers = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| self.number(name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let number = name.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let number =
            number.parse().ok().filter(|_| number.starts_with(|it: char| it.is_ascii_digit()))?;
        (self.path(number).file_name()? == name).then_some(number)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.digits > 1 { format!("0{}", self.digits) } else { String::new() };
        let name = format!("{}%{digits}d{}", self.before, self.after);
        write!(f, "{}", self.directory.join(name).display())
    }
}

/// Frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate(pub gst::Fraction);

/// The text is no frame rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a positive number or fraction, for example 24 or 24000/1001")]
pub struct NoFrameRate;

impl Default for FrameRate {
    fn default() -> Self {
        Self(gst::Fraction::new(25, 1))
    }
}

impl FromStr for FrameRate {
    type Err = NoFrameRate;

    fn from_str(text: &str) -> Result<Self, NoFrameRate> {
        let (numerator, denominator) = match text.split_once('/') {
            Some((numerator, denominator)) => (numerator.parse(), denominator.parse()),
            None => {
                let rate: f64 = text.parse().map_err(|_| NoFrameRate)?;
                let thousandths = (rate * 1000.0).round() as i32;
                (Ok(thousandths), Ok(1000))
            }
        };
        match (numerator, denominator) {
            (Ok(numerator @ 1..), Ok(denominator @ 1..)) => {
                Ok(Self(gst::Fraction::new(numerator, denominator)))
            }
            _ => Err(NoFrameRate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_one_number() {
        let pattern = |text: &str| Pattern::of(Path::new(text));
        for text in ["a/frame%05d.png", "%d.tif"] {
            assert_eq!(pattern(text).unwrap().to_string(), text);
        }
        for text in ["a.png", "100%.png", "%s.png", "%5d.png", "%d%d.png", "%099d.png", "%0d.png"] {
            assert_eq!(pattern(text), None, "{text}");
        }
        assert_eq!(pattern("a/f%03d.png").unwrap().path(7), Path::new("a/f007.png"));
    }

    #[test]
    fn only_files_of_the_pattern_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["f003.png", "f010.png", "f1000.png", "f4.png", "f+05.png", "f003.jpg", "g003.png"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let pattern = Pattern::of(&folder.path().join("f%03d.png")).unwrap();
        assert_eq!(pattern.numbers().unwrap(), [3, 10, 1000]);
    }

    #[test]
    fn a_frame_rate_is_a_number_or_a_fraction() {
        let rate = |text: &str| Some(text.parse::<FrameRate>().ok()?.0);
        assert_eq!(rate("24"), Some(gst::Fraction::new(24, 1)));
        assert_eq!(rate("24000/1001"), Some(gst::Fraction::new(24_000, 1001)));
        assert_eq!(rate("12.5"), Some(gst::Fraction::new(25, 2)));
        for text in ["0", "-5", "a", "1/0", "", "NaN", "0/1"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }
}
