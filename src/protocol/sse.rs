//! Server-sent events: bytes in, frames of a subscription out.
use std::collections::VecDeque;

use base64_simd::STANDARD;
use bytes::{Buf as _, BytesMut};

use crate::protocol::{
    error::{Delivery, Error, ErrorKind, Result},
    subscription::{Frame, Listen},
};

/// Longest event; messages are smaller than any request.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// How names and messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEncoding {
    /// As they are: line breaks and commas are ambiguous.
    Plain,
    /// Each of them in base64.
    Base64,
}

/// Splits a body into events and events into frames.
#[derive(Debug)]
pub(crate) struct Parser {
    what: Listen,
    encoding: StreamEncoding,
    buffer: BytesMut,
    /// So much of it is known to hold no end of line.
    searched: usize,
    /// The `data` lines of the event under way, joined.
    event: Option<Vec<u8>>,
    frames: VecDeque<Frame>,
}

impl Parser {
    pub(crate) fn new(what: Listen, encoding: StreamEncoding) -> Self {
        Self {
            what,
            encoding,
            buffer: BytesMut::new(),
            searched: 0,
            event: None,
            frames: VecDeque::new(),
        }
    }

    pub(crate) fn next(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// Takes a piece of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        while let Some(more) = self.buffer[self.searched..]
            .iter()
            .position(|b| *b == b'\n')
        {
            let line = self.buffer.split_to(self.searched + more);
            self.buffer.advance(1);
            self.searched = 0;
            self.line(line.strip_suffix(b"\r").unwrap_or(&line))?;
        }
        self.searched = self.buffer.len();
        let held = self.buffer.len() + self.event.as_ref().map_or(0, Vec::len);
        if held > MAX_EVENT_BYTES {
            let why = "a message exceeds the limit of this client";
            return Err(Error::new(ErrorKind::TooLarge, Delivery::Executed, why));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        if line.is_empty() {
            if let Some(event) = self.event.take() {
                let frame = match self.encoding {
                    StreamEncoding::Plain => frame(&self.what, &event),
                    StreamEncoding::Base64 => base64_frame(&self.what, &event)?,
                };
                self.frames.extend(frame);
            }
            return Ok(());
        }
        // Comments keep the connection alive; other fields mean nothing here.
        let Some(data) = line.strip_prefix(b"data:") else {
            return Ok(());
        };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        match &mut self.event {
            Some(event) => {
                event.push(b'\n');
                event.extend_from_slice(data);
            }
            none => *none = Some(data.to_vec()),
        }
        Ok(())
    }
}

/// One event; `None` for what no version of the protocol says.
fn frame(what: &Listen, event: &[u8]) -> Option<Frame> {
    if matches!(what, Listen::Monitor) {
        return Some(Frame::Line(String::from_utf8_lossy(event).into_owned()));
    }
    let comma = event.iter().position(|b| *b == b',')?;
    let (kind, rest) = (&event[..comma], &event[comma + 1..]);
    match kind {
        b"subscribe" | b"psubscribe" => {
            let (name, count) = split_last(rest)?;
            let count = std::str::from_utf8(count).ok()?.parse().ok()?;
            Some(Frame::Subscribed {
                name: text(name),
                count,
            })
        }
        b"message" => {
            let (channel, payload) = split_known(what.names(), rest)?;
            Some(Frame::Message {
                pattern: None,
                channel: channel.to_vec().into(),
                payload: payload.to_vec().into(),
            })
        }
        b"pmessage" => {
            let (pattern, rest) = split_known(what.names(), rest)?;
            let comma = rest.iter().position(|b| *b == b',')?;
            Some(Frame::Message {
                pattern: Some(text(pattern)),
                channel: rest[..comma].to_vec().into(),
                payload: rest[comma + 1..].to_vec().into(),
            })
        }
        _ => None,
    }
}

/// Decodes an event whose parts are base64, which has no commas.
fn base64_frame(what: &Listen, event: &[u8]) -> Result<Option<Frame>> {
    let decode = |part: &[u8]| {
        STANDARD
            .decode_to_vec(part)
            .map_err(|_| Error::protocol("an event holds no base64"))
    };
    if matches!(what, Listen::Monitor) {
        return Ok(Some(Frame::Line(text(&decode(event)?))));
    }
    let parts: Vec<&[u8]> = event.splitn(5, |b| *b == b',').collect();
    Ok(match parts[..] {
        [b"subscribe" | b"psubscribe", name, count] => {
            let count = std::str::from_utf8(count).ok().and_then(|n| n.parse().ok());
            let count = count.ok_or_else(|| Error::protocol("a subscription without a count"))?;
            let name = text(&decode(name)?);
            Some(Frame::Subscribed { name, count })
        }
        [b"message", channel, payload] => Some(Frame::Message {
            pattern: None,
            channel: decode(channel)?.into(),
            payload: decode(payload)?.into(),
        }),
        [b"pmessage", pattern, channel, payload] => Some(Frame::Message {
            pattern: Some(text(&decode(pattern)?)),
            channel: decode(channel)?.into(),
            payload: decode(payload)?.into(),
        }),
        _ => None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn split_last(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = bytes.iter().rposition(|b| *b == b',')?;
    Some((&bytes[..comma], &bytes[comma + 1..]))
}

/// Names may hold commas: the longest that was asked for wins.
fn split_known<'a>(names: &[String], bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let known = names
        .iter()
        .filter(|n| bytes.starts_with(n.as_bytes()) && bytes.get(n.len()) == Some(&b','))
        .map(String::len)
        .max();
    let comma = known.or_else(|| bytes.iter().position(|b| *b == b','))?;
    Some((&bytes[..comma], &bytes[comma + 1..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn parse(what: Listen, text: &str, step: usize) -> Vec<Frame> {
        let mut parser = Parser::new(what, StreamEncoding::Plain);
        let mut frames = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            parser.feed(piece).unwrap();
            frames.extend(std::iter::from_fn(|| parser.next()));
        }
        frames
    }

    fn message(channel: &str, payload: &str) -> Frame {
        Frame::Message {
            pattern: None,
            channel: channel.to_owned().into(),
            payload: payload.to_owned().into(),
        }
    }

    #[test]
    fn frames_survive_any_cut() {
        let text = ": hello\n\ndata: subscribe,chat,1\r\n\r\ndata: message,chat,a,b\n\n\
                    : keep-alive\n\ndata: message,chat,x\ndata: y\n\nevent: z\n\ndata: nonsense\n\n";
        let what = Listen::Channels(vec!["chat".into()]);
        for step in [1, 2, 7, 1000] {
            let frames = parse(what.clone(), text, step);
            let subscribed = Frame::Subscribed {
                name: "chat".into(),
                count: 1,
            };
            assert_eq!(
                frames,
                [subscribed, message("chat", "a,b"), message("chat", "x\ny")]
            );
        }
    }

    #[test]
    fn names_with_commas_are_known() {
        let what = Listen::Channels(vec!["a".into(), "a,b".into()]);
        assert_eq!(
            parse(what, "data: message,a,b,c\n\n", 100),
            [message("a,b", "c")]
        );
        let what = Listen::Patterns(vec!["u,*".into()]);
        let Frame::Message {
            pattern,
            channel,
            payload,
        } = parse(what, "data: pmessage,u,*,u7,hi,you\n\n", 100).remove(0)
        else {
            panic!("not a message")
        };
        assert_eq!(
            (pattern.as_deref(), &channel[..]),
            (Some("u,*"), &b"u7"[..])
        );
        assert_eq!(&payload[..], b"hi,you");
    }

    #[test]
    fn base64_carries_any_bytes() {
        let what = Listen::Patterns(vec!["news.*".into()]);
        let mut parser = Parser::new(what, StreamEncoding::Base64);
        // printf 'news.*' | base64, and so on.
        let text =
            "data: psubscribe,bmV3cy4q,1\n\ndata: pmessage,bmV3cy4q,bmV3cy5hLGI=,YQ0KYgD/\n\n";
        parser.feed(text.as_bytes()).unwrap();
        let subscribed = Frame::Subscribed {
            name: "news.*".into(),
            count: 1,
        };
        assert_eq!(parser.next(), Some(subscribed));
        let message = Frame::Message {
            pattern: Some("news.*".into()),
            channel: "news.a,b".into(),
            payload: b"a\r\nb\0\xff".to_vec().into(),
        };
        assert_eq!(parser.next(), Some(message));
        for wrong in [
            "data: message,?,aGk=\n\n",
            "data: subscribe,bmV3cy4q,one\n\n",
        ] {
            let error = parser.feed(wrong.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::new(Listen::Monitor, StreamEncoding::Plain);
        let piece = vec![b'x'; 1024 * 1024];
        let refused = (0..20).find_map(|_| parser.feed(&piece).err()).unwrap();
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
    }
}
