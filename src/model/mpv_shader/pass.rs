//! A shader file, divided into passes: directives (`//!NAME VALUE`), then code.

use super::error::{Problem, ShaderError};

/// The maximum number of passes; Anime4K's networks have up to 84.
const MAX_PASSES: usize = 1024;
/// The longest part of a file's text that a message quotes, in characters.
pub(super) const MAX_QUOTED: usize = 60;

/// One pass. It computes a texture from textures.
#[derive(Debug, Default)]
pub(super) struct Pass<'a> {
    /// Its description, for messages.
    pub name: String,
    /// The texture after which the pass runs: `MAIN` (R′G′B′) or `LUMA`.
    pub hook: &'a str,
    /// The textures that it reads.
    pub binds: Vec<&'a str>,
    /// The texture that it produces; the hooked one unless stated.
    pub save: Option<&'a str>,
    /// The width and the height of that texture; those of the hooked one unless stated.
    pub size: [Option<Extent<'a>>; 2],
    /// The channels of that texture; those of the hooked one unless stated.
    pub components: Option<&'a str>,
    /// Its macros: what follows `#define`.
    pub macros: Vec<&'a str>,
    /// Its other GLSL code, without comments.
    pub code: String,
}

/// A multiple of the width or height of a texture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent<'a> {
    pub texture: &'a str,
    pub times: u32,
}

impl<'a> Extent<'a> {
    /// An expression in reverse Polish notation: `NAME.w`, or `NAME.w 2 *`; `.h` for a height.
    fn parse(text: &'a str, side: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let texture = words.next()?.strip_suffix(side)?;
        let times = match (words.next(), words.next(), words.next()) {
            (None, ..) => 1,
            (Some(times), Some("*"), None) => times.parse().ok()?,
            _ => return None,
        };
        Some(Self { texture, times })
    }
}

/// The passes of a file, in its order.
///
/// # Errors
/// [`ShaderError`] if there are none or too many, or one has a directive that is not supported.
pub(super) fn split(text: &str) -> Result<Vec<Pass<'_>>, ShaderError> {
    let mut passes: Vec<Pass<'_>> = Vec::new();
    // Before the first directive is a comment.
    let mut in_code = true;
    for line in text.lines().map(str::trim) {
        if let Some(directive) = line.strip_prefix("//!") {
            if in_code {
                if passes.len() == MAX_PASSES {
                    return Err(ShaderError::TooManyPasses(MAX_PASSES));
                }
                passes.push(Pass::default());
                in_code = false;
            }
            let (name, value) =
                directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
            if let Some(pass) = passes.last_mut() {
                pass.direct(name, value.trim()).map_err(|problem| problem.of(&pass.name))?;
            }
        } else if let Some(pass) = passes.last_mut() {
            in_code = true;
            let code = line.split("//").next().unwrap_or_default().trim_end();
            match code.strip_prefix("#define") {
                Some(definition) => pass.macros.push(definition),
                None => {
                    pass.code.push_str(code);
                    pass.code.push('\n');
                }
            }
        }
    }
    // mpv ignores a block of directives that hooks nothing.
    passes.retain(|pass| !pass.hook.is_empty());
    if passes.is_empty() { Err(ShaderError::NoPass) } else { Ok(passes) }
}

impl<'a> Pass<'a> {
    /// Takes in a directive.
    fn direct(&mut self, name: &str, value: &'a str) -> Result<(), Problem> {
        let extent = |side| {
            let extent = Extent::parse(value, side);
            extent.ok_or_else(|| Problem::Size(quoted(value))).map(Some)
        };
        let [width, height] = &mut self.size;
        match name {
            "DESC" => self.name = quoted(value),
            "HOOK" if self.hook.is_empty() => self.hook = value,
            "HOOK" => return Err(Problem::ManyHooks),
            "BIND" => self.binds.push(value),
            "SAVE" => self.save = Some(value),
            "WIDTH" => *width = extent(".w")?,
            "HEIGHT" => *height = extent(".h")?,
            "COMPONENTS" => self.components = Some(value),
            "WHEN" => {}
            _ => return Err(Problem::Directive(quoted(name))),
        }
        Ok(())
    }
}

/// The start of `text`, short enough for a message.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}
