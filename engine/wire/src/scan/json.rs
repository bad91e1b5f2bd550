//! JSON, scanned.

use memchr::{memchr, memchr2};
use model::Span;

use super::span;

/// Reads a body from front to back.
pub(crate) struct Scanner<'a> {
    body: &'a [u8],
    /// The next byte.
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Whether only space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.body.len()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.body.get(self.at) {
            self.at += 1;
        }
    }

    /// Takes this byte, and the space before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.take_if(byte) { Some(()) } else { None }
    }

    fn take_if(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.body.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// An object; `member` takes the value of each name, told by its place in `names`, which have
    /// their closing quotes. Any other name ends the scan, one with an escape among them.
    pub(crate) fn members<const N: usize>(
        &mut self,
        names: [&[u8]; N],
        mut member: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.take_if(b'}') {
            return Some(());
        }
        loop {
            self.take(b'"')?;
            let rest = &self.body[self.at..];
            let name = names.iter().position(|name| rest.starts_with(name))?;
            self.at += names[name].len();
            self.take(b':')?;
            member(self, name)?;
            if !self.take_if(b',') {
                return self.take(b'}');
            }
        }
    }

    /// A list; `element` takes each.
    pub(crate) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'[')?;
        if self.take_if(b']') {
            return Some(());
        }
        loop {
            element(self)?;
            if !self.take_if(b',') {
                return self.take(b']');
            }
        }
    }

    /// A text without escapes. Whether it is UTF-8 is for the caller to ask.
    pub(crate) fn text(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let rest = &self.body[self.at..];
        let end = memchr2(b'"', b'\\', rest)?;
        // Without an early end: so the compiler looks at many bytes at once.
        let has_no_control = rest[..end].iter().fold(true, |so_far, byte| so_far & (*byte >= b' '));
        (rest[end] == b'"' && has_no_control).then(|| self.pass(end))
    }

    /// Base64 that is right. It has no escapes, so that the next quote ends it.
    pub(crate) fn base64(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let end = memchr(b'"', &self.body[self.at..])?;
        base64_simd::STANDARD.check(&self.body[self.at..self.at + end]).ok()?;
        Some(self.pass(end))
    }

    /// Passes so many bytes and the quote behind them.
    fn pass(&mut self, bytes: usize) -> Span {
        let found = span(self.at, bytes);
        self.at += bytes + 1;
        found
    }

    /// A whole number of up to nine digits.
    pub(crate) fn number(&mut self) -> Option<u32> {
        self.space();
        let rest = &self.body[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let has_leading_zero = count > 1 && rest[0] == b'0';
        let is_longer = matches!(rest.get(count), Some(b'.' | b'e' | b'E'));
        if !(1..10).contains(&count) || has_leading_zero || is_longer {
            return None;
        }
        self.at += count;
        Some(rest[..count].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    pub(crate) fn boolean(&mut self) -> Option<bool> {
        self.space();
        let rest = &self.body[self.at..];
        let (value, bytes) = if rest.starts_with(b"true") {
            (true, 4)
        } else if rest.starts_with(b"false") {
            (false, 5)
        } else {
            return None;
        };
        self.at += bytes;
        Some(value)
    }
}
