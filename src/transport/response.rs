//! From the body of an answer to one reply a command.
use bytes::Bytes;

use super::{
    Encoding, Exchange, Mode,
    head::{Format, Head},
    refusal::{gateway, refusal},
};
use crate::protocol::{
    error::{Error, Result},
    json_codec::{self as json, Body, Malformed},
    reply::Reply,
    resp,
};

/// One reply a command, or why the body holds none.
pub(super) fn replies(
    encoding: Encoding,
    exchange: &Exchange,
    head: &Head,
    body: &Bytes,
) -> Result<Vec<Reply>> {
    let status = head.status.as_u16();
    let expect = exchange.commands.len();
    let parsed = parse(encoding, head, body, exchange, expect);
    match status {
        200..=299 => {}
        400 if exchange.mode == Mode::Single => {}
        _ => return Err(refusal(exchange.mode, head, parsed.ok())),
    }
    let replies = match parsed {
        Ok(Body::Many(replies)) if exchange.mode != Mode::Single => replies,
        Ok(Body::One(reply)) if exchange.mode == Mode::Single => {
            return if status == 400 && !matches!(reply, Reply::Error(_)) {
                Err(Error::protocol("status 400 without an error").with_status(status))
            } else {
                Ok(vec![reply])
            };
        }
        Ok(Body::One(reply @ Reply::Error(_))) => {
            return Err(refusal(exchange.mode, head, Some(Body::One(reply))));
        }
        Ok(_) => return Err(Error::protocol("answer of another form").with_status(status)),
        Err(why) if head.is_page() => return Err(gateway(head, why)),
        Err(why) => return Err(Error::protocol(why).with_status(status)),
    };
    if replies.len() != expect {
        let why = format!("{} replies to {expect} commands", replies.len());
        return Err(Error::protocol(why).with_status(status));
    }
    Ok(replies)
}

fn parse(
    encoding: Encoding,
    head: &Head,
    body: &Bytes,
    exchange: &Exchange,
    expect: usize,
) -> Result<Body, Malformed> {
    match head.format {
        Format::Resp => {
            let mut replies = resp::parse(body, expect)?;
            if exchange.mode == Mode::Single || !head.status.is_success() {
                let reply = replies.pop().ok_or("empty body")?;
                return if replies.is_empty() {
                    Ok(Body::One(reply))
                } else {
                    Err("more than one reply")
                };
            }
            Ok(Body::Many(replies))
        }
        Format::Json => {
            let base64 = match encoding {
                Encoding::Base64 => true,
                Encoding::Plain => false,
                Encoding::Resp2 => exchange.mode == Mode::Transaction,
            };
            json::parse(body, base64, expect)
        }
        Format::Other => Err("neither JSON nor RESP2"),
    }
}
