//! A bounded parser of RESP2 answers.
use bytes::Bytes;

use super::json_codec::Malformed;
use crate::protocol::reply::{Reply, ServerError};

const MAX_DEPTH: u32 = 128;

/// Parses replies one after the other until the body ends.
pub(crate) fn parse(body: &Bytes, expect: usize) -> Result<Vec<Reply>, Malformed> {
    let mut p = Parser { body, at: 0 };
    let mut replies = Vec::with_capacity(expect.min(4096));
    while p.at < body.len() {
        replies.push(p.reply(0)?);
    }
    Ok(replies)
}

struct Parser<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Parser<'_> {
    fn line(&mut self) -> Result<Bytes, Malformed> {
        let rest = &self.body[self.at..];
        let len = rest
            .windows(2)
            .position(|w| w == b"\r\n")
            .ok_or("line not closed")?;
        let line = self.body.slice(self.at..self.at + len);
        self.at += len + 2;
        Ok(line)
    }

    fn length(&mut self) -> Result<Option<usize>, Malformed> {
        let n: i64 = number(&self.line()?).ok_or("bad length")?;
        match n {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| "bad length"),
        }
    }

    fn reply(&mut self, depth: u32) -> Result<Reply, Malformed> {
        let kind = *self.body.get(self.at).ok_or("body ends early")?;
        self.at += 1;
        match kind {
            b'+' => Ok(Reply::Status(self.line()?)),
            b'-' => {
                let line = self.line()?;
                Ok(Reply::Error(ServerError::new(
                    String::from_utf8_lossy(&line).into_owned(),
                )))
            }
            b':' => {
                let line = self.line()?;
                number(&line).map(Reply::Int).ok_or("bad integer")
            }
            b'$' => {
                let Some(len) = self.length()? else {
                    return Ok(Reply::Nil);
                };
                let end = self.at.checked_add(len).ok_or("bad length")?;
                if self.body.get(end..end.saturating_add(2)) != Some(b"\r\n") {
                    return Err("string not closed");
                }
                // Small values are copied so that they do not keep a large body alive.
                let value = if len < self.body.len() / 2 {
                    Bytes::copy_from_slice(&self.body[self.at..end])
                } else {
                    self.body.slice(self.at..end)
                };
                self.at = end + 2;
                Ok(Reply::Bulk(value))
            }
            b'*' => {
                if depth >= MAX_DEPTH {
                    return Err("nested too deeply");
                }
                let Some(len) = self.length()? else {
                    return Ok(Reply::Nil);
                };
                // Every item takes at least three bytes.
                if len > (self.body.len() - self.at) / 3 {
                    return Err("bad length");
                }
                let mut items = Vec::with_capacity(len);
                for _ in 0..len {
                    items.push(self.reply(depth + 1)?);
                }
                Ok(Reply::Array(items))
            }
            _ => Err("unknown kind of reply"),
        }
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
