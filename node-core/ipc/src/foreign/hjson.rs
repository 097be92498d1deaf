//! HJSON, and JSON, which is a part of it.
//!
//! Written by hand because no parser at hand bounds nesting and keeps numbers as they were written.
//! One pass over the text, no look-back; recursion ends at [`DEPTH_MAX`]. What it takes:
//!
//! - comments `# …`, `// …`, `/* … */`
//! - commas between members and entries, or none
//! - names in quotes or without, the braces around the whole file or none
//! - texts in `"…"`, `'…'` (with the escapes of JSON), `'''…'''` over lines, whose indentation
//!   is that of the first quote, and without quotes to the end of the line, unless that is a
//!   number, `true`, `false` or `null`
//!
//! Mistakes name a line and never repeat what stands in it.

use zeroize::Zeroizing;

use super::ForeignError;
use super::value::{DEPTH_MAX, Value};

pub(super) fn parse(text: &str) -> Result<Value, ForeignError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.file().map_err(|what| {
        let before = &text.as_bytes()[..parser.at.min(text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        ForeignError::Syntax { line, what: what.to_owned() }
    })
}

struct Parser<'a> {
    text: &'a str,
    /// Always between two characters.
    at: usize,
    depth: usize,
}

type Found<T> = Result<T, &'static str>;

const PUNCTUATION: [char; 6] = ['{', '}', '[', ']', ',', ':'];

impl Parser<'_> {
    fn file(&mut self) -> Found<Value> {
        self.skip()?;
        let value = match self.peek() {
            Some('{') => {
                self.next();
                Value::Object(self.members(true)?)
            }
            _ => Value::Object(self.members(false)?),
        };
        self.skip()?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err("something follows the end of the settings"),
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn takes(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Blanks and comments.
    fn skip(&mut self) -> Found<()> {
        loop {
            match self.peek() {
                Some(blank) if is_blank(blank) => drop(self.next()),
                Some('#') => self.skip_line(),
                Some('/') if self.rest().starts_with("//") => self.skip_line(),
                Some('/') if self.rest().starts_with("/*") => {
                    let end = self.rest().find("*/").ok_or("a comment is not closed")?;
                    self.at += end + 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// The members of an object up to its brace, or to the end of a file without one.
    fn members(&mut self, braced: bool) -> Found<Vec<(String, Value)>> {
        let mut members = Vec::new();
        loop {
            self.skip()?;
            match self.peek() {
                Some('}') if braced => {
                    self.next();
                    return Ok(members);
                }
                None if !braced => return Ok(members),
                None => return Err("a brace is not closed"),
                Some(_) => {}
            }
            let name = self.name()?;
            self.skip()?;
            if self.next() != Some(':') {
                return Err("a colon is missing behind a name");
            }
            let value = self.value()?;
            members.push((name, value));
            self.skip()?;
            self.takes(",");
        }
    }

    fn entries(&mut self) -> Found<Vec<Value>> {
        let mut entries = Vec::new();
        loop {
            self.skip()?;
            match self.peek() {
                Some(']') => {
                    self.next();
                    return Ok(entries);
                }
                // A bracket that was swallowed by a text before it.
                None | Some('}' | ':') => return Err(NOT_CLOSED),
                Some(_) => entries.push(self.value()?),
            }
            self.skip()?;
            self.takes(",");
        }
    }

    fn name(&mut self) -> Found<String> {
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            self.next();
            return Ok(self.quoted(quote)?.to_string());
        }
        let is_end = |c: char| is_blank(c) || PUNCTUATION.contains(&c);
        let len = self.rest().find(is_end).unwrap_or(self.rest().len());
        if len == 0 {
            return Err("a name is missing");
        }
        let name = self.rest()[..len].to_owned();
        self.at += len;
        Ok(name)
    }

    fn value(&mut self) -> Found<Value> {
        self.skip()?;
        match self.peek() {
            Some('{') => self.deeper(|parser| parser.members(true).map(Value::Object)),
            Some('[') => self.deeper(|parser| parser.entries().map(Value::List)),
            Some('\'') if self.rest().starts_with("'''") => self.lines().map(Value::Text),
            Some(quote @ ('"' | '\'')) => {
                self.next();
                self.quoted(quote).map(Value::Text)
            }
            Some(c) if PUNCTUATION.contains(&c) => Err("a value is missing"),
            Some(_) => Ok(self.bare()),
            None => Err("a value is missing"),
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Found<Value>) -> Found<Value> {
        if self.depth == DEPTH_MAX {
            return Err("brackets are nested too deep");
        }
        self.depth += 1;
        self.next();
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// A text behind its opening quote.
    fn quoted(&mut self, quote: char) -> Found<Zeroizing<String>> {
        // Never longer than what is left of the line, so it does not grow.
        let line = self.rest().find('\n').unwrap_or(self.rest().len());
        let mut text = Zeroizing::new(String::with_capacity(line));
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some('\n' | '\r') | None => return Err("a quote is not closed on its line"),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Found<char> {
        Ok(match self.next() {
            Some(c @ ('"' | '\'' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => self.unicode()?,
            _ => return Err(BAD_ESCAPE),
        })
    }

    fn unicode(&mut self) -> Found<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) || !self.takes("\\u") {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // Both halves of a pair have ten bits each.
        let second = self.four_digits()?;
        let joined = second
            .checked_sub(0xdc00)
            .filter(|low| *low < 0x400)
            .and_then(|low| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low));
        Ok(joined.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Found<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16)).ok_or(BAD_ESCAPE)?;
            number = number << 4 | digit;
        }
        Ok(number)
    }

    /// A text between triple quotes.
    fn lines(&mut self) -> Found<Zeroizing<String>> {
        let line_start = self.text[..self.at].rfind('\n').map_or(0, |at| at + 1);
        let indent = self.text[line_start..self.at].chars().count();
        self.takes("'''");
        let len = self.rest().find("'''").ok_or("a text in ''' is not closed")?;
        let body = &self.text[self.at..self.at + len];
        self.at += len + 3;
        // The line of the quotes does not count if nothing else stands in it.
        let body = match body.split_once('\n') {
            Some((first, rest)) if first.chars().all(is_blank) => rest,
            _ => body.trim_start_matches(|c| is_blank(c) && c != '\n'),
        };
        let mut text = Zeroizing::new(String::with_capacity(body.len()));
        for (index, line) in body.split('\n').enumerate() {
            if index > 0 {
                text.push('\n');
            }
            let own = line.char_indices().take(indent).take_while(|(_, c)| is_blank(*c));
            let cut = own.last().map_or(0, |(at, c)| at + c.len_utf8());
            text.extend(line[cut..].chars().filter(|c| *c != '\r'));
        }
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }

    /// A value without quotes.
    fn bare(&mut self) -> Value {
        let line_end = self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
        let line = &self.text[self.at..self.at + line_end];
        // A word that means something ends at a comma, a bracket or a comment; a text does not.
        let ends = line.char_indices().filter(|&(at, c)| {
            matches!(c, ',' | '}' | ']' | '#')
                || line[at..].starts_with("//")
                || line[at..].starts_with("/*")
        });
        // Only the first end can close a word: a longer one would contain the mark.
        let word_end = ends.map(|(at, _)| at).next().unwrap_or(line.len());
        if let Some(value) = word(line[..word_end].trim_matches(is_blank)) {
            self.at += word_end;
            return value;
        }
        self.at += line_end;
        Value::Text(Zeroizing::new(line.trim_matches(is_blank).to_owned()))
    }
}

const NOT_CLOSED: &str =
    "a list is not closed; a text without quotes runs to the end of its line, so put it in quotes";

const BAD_ESCAPE: &str = "a backslash is followed by something unknown";

fn is_blank(c: char) -> bool {
    c <= ' '
}

/// A word that is no text.
fn word(text: &str) -> Option<Value> {
    Some(match text {
        "null" => Value::Null,
        "true" => Value::Flag(true),
        "false" => Value::Flag(false),
        text if is_number(text) => Value::Number(Zeroizing::new(text.to_owned())),
        _ => return None,
    })
}

/// Whether a text is a number by the rules of JSON.
fn is_number(text: &str) -> bool {
    fn digits(text: &str) -> Option<&str> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest)
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = match text.strip_prefix('0') {
        Some(rest) => Some(rest),
        None => digits(text),
    };
    let fraction = whole.and_then(|rest| match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => Some(rest),
    });
    let exponent = fraction.and_then(|rest| match rest.strip_prefix(['e', 'E']) {
        Some(rest) => digits(rest.strip_prefix(['+', '-']).unwrap_or(rest)),
        None => Some(rest),
    });
    exponent == Some("")
}
