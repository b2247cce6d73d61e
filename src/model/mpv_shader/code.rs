//! Reading GLSL code token by token.

use super::{error::Problem, pass::quoted};

/// A place in code. Tokens are names, numbers and single characters.
#[derive(Clone, Copy)]
pub(super) struct Code<'a>(&'a str);

impl<'a> Code<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.trim_start())
    }

    /// The next token; empty at the end.
    pub(super) fn peek(self) -> &'a str {
        let bytes = self.0.as_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.';
        let length = match bytes.first() {
            None => 0,
            // A number, also with an exponent such as e-05.
            Some(b'0'..=b'9' | b'.') => {
                let mut previous = 0;
                let continues = |byte: &&u8| {
                    let is_sign = matches!(byte, b'+' | b'-') && matches!(previous, b'e' | b'E');
                    previous = **byte;
                    is_word(byte) || is_sign
                };
                bytes.iter().take_while(continues).count()
            }
            Some(byte) if is_word(byte) => {
                bytes.iter().take_while(|byte| is_word(byte) && **byte != b'.').count()
            }
            Some(_) => self.0.chars().next().map_or(0, char::len_utf8),
        };
        self.0.get(..length).unwrap_or_default()
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.0 = self.0.get(token.len()..).unwrap_or_default().trim_start();
        token
    }

    /// Takes the tokens of `text` if they are next.
    pub(super) fn accept(&mut self, text: &str) -> bool {
        let (mut own, mut wanted) = (*self, Code::new(text));
        while !wanted.0.is_empty() {
            if own.next() != wanted.next() {
                return false;
            }
        }
        *self = own;
        true
    }

    /// Takes the tokens of `text`.
    ///
    /// # Errors
    /// [`Problem::Code`] if other tokens are next.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), Problem> {
        if self.accept(text) { Ok(()) } else { Err(self.expected(text)) }
    }

    /// Takes a number, which may have a sign.
    ///
    /// # Errors
    /// [`Problem::Code`] if there is none, or it is not finite.
    pub(super) fn number(&mut self) -> Result<f32, Problem> {
        let start = *self;
        let sign = if self.accept("-") { -1.0 } else { 1.0 };
        let number = self.next().parse::<f32>().ok().filter(|number| number.is_finite());
        number.map(|number| sign * number).ok_or_else(|| start.expected("a number"))
    }

    /// Takes `N` numbers with commas between them.
    ///
    /// # Errors
    /// [`Problem::Code`] if there are fewer.
    pub(super) fn numbers<const N: usize>(&mut self) -> Result<[f32; N], Problem> {
        let mut numbers = [0.0; N];
        for (index, number) in numbers.iter_mut().enumerate() {
            if index > 0 {
                self.expect(",")?;
            }
            *number = self.number()?;
        }
        Ok(numbers)
    }

    /// Takes a name that ends in `suffix`, and returns what precedes that.
    ///
    /// # Errors
    /// [`Problem::Code`] if another token is next.
    pub(super) fn name(&mut self, suffix: &str) -> Result<&'a str, Problem> {
        let name = self.peek().strip_suffix(suffix).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.expected(&format!("a name that ends in {suffix}")))?;
        self.next();
        Ok(name)
    }

    /// Checks that this is the end.
    ///
    /// # Errors
    /// [`Problem::Code`] if it is not.
    pub(super) fn end(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// The problem that something else is expected here.
    pub(super) fn expected(self, what: &str) -> Problem {
        Problem::Code { expected: what.into(), found: quoted(self.0) }
    }
}
