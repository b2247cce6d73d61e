//! The files of the output: one, or a sequence of pictures.

use std::path::{Path, PathBuf};

use super::{
    Error,
    container::Container,
    frame_files::{FrameFormat, Target},
    input::Input,
    sequence::Pattern,
    survey::Survey,
};
use crate::part_file::{self, IfExists, PartFile};

/// Where the output is to be.
#[derive(Debug)]
pub struct Files {
    output: PathBuf,
    /// A file for each frame.
    sequence: Option<Pattern>,
    frames: Option<FrameFormat>,
    if_exists: IfExists,
}

/// The output while it is written.
#[derive(Debug)]
pub enum Part {
    File {
        part: PartFile,
        if_exists: IfExists,
        is_container: bool,
    },
    /// Each picture is complete as soon as it has its name.
    Sequence(Pattern, IfExists),
}

impl Files {
    /// The files that `output` names.
    pub fn new(output: &Path, container: &Container, if_exists: IfExists) -> Self {
        let frames = container.frames;
        let sequence = Pattern::of(output).filter(|_| is_picture(frames));
        Self { output: output.into(), sequence, frames, if_exists }
    }

    /// Checks, before any work is done, that the files can be written and are not the input.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn check(&self, input: &Input) -> Result<(), Error> {
        let Some(pattern) = &self.sequence else {
            return Ok(part_file::check(&input.name(), &self.output, self.if_exists)?);
        };
        if input.name() == self.output {
            return Err(part_file::Error::SameFile(self.output.clone()).into());
        }
        let existing = pattern.numbers().ok().and_then(|numbers| numbers.first().copied());
        let first = pattern.path(existing.unwrap_or(1));
        Ok(part_file::check(&input.name(), &first, self.if_exists)?)
    }

    /// Checks that the files can hold all frames.
    ///
    /// # Errors
    /// [`Error::ManyFrames`].
    pub fn check_frames(&self, input: &Path, survey: &Survey) -> Result<(), Error> {
        if is_picture(self.frames) && self.sequence.is_none() && survey.video_packets() > 1 {
            return Err(Error::ManyFrames { input: input.into(), output: self.output.clone() });
        }
        Ok(())
    }

    /// Creates the file, unless there is one for each frame.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn create(&self) -> Result<Part, Error> {
        Ok(match &self.sequence {
            Some(pattern) => Part::Sequence(pattern.clone(), self.if_exists),
            None => Part::File {
                part: PartFile::create(&self.output)?,
                if_exists: self.if_exists,
                is_container: self.frames.is_none(),
            },
        })
    }
}

fn is_picture(frames: Option<FrameFormat>) -> bool {
    frames.is_some_and(FrameFormat::is_picture)
}

impl Part {
    /// Where frames or packets are written.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn target(&self) -> Result<Target, Error> {
        Ok(match self {
            Self::File { part, .. } => Target::of(part.file())?,
            Self::Sequence(pattern, if_exists) => {
                Target::Sequence { pattern: pattern.clone(), if_exists: *if_exists }
            }
        })
    }

    /// The file, if it is a container.
    pub fn container(&self) -> Option<&PartFile> {
        match self {
            Self::File { part, is_container: true, .. } => Some(part),
            _ => None,
        }
    }

    /// Gives the complete file its name.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn finish(self) -> Result<(), Error> {
        match self {
            Self::File { part, if_exists, .. } => Ok(part.finish(if_exists)?),
            Self::Sequence(..) => Ok(()),
        }
    }

    /// Keeps what is finished. Returns where it is.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn keep(self) -> Result<PathBuf, Error> {
        match self {
            Self::File { part, .. } => Ok(part.keep()?),
            Self::Sequence(pattern, _) => Ok(pattern.to_string().into()),
        }
    }
}
