//! Replies of a pipeline or transaction, written as they come.

use bytes::BytesMut;
use restis_engine::Reply;

use super::{Format, data_size};
use crate::texts;

/// A list of replies. One that does not fit is its command's error; the others stay.
#[derive(Debug)]
pub(crate) struct List {
    format: Format,
    limit: u64,
    out: BytesMut,
    written: usize,
    /// Bytes of the replies' data so far.
    used: u64,
}

impl List {
    pub(crate) fn new(format: Format, limit: usize, commands: usize) -> Self {
        let mut out = BytesMut::with_capacity((commands * 32).clamp(256, 1 << 20));
        format.open(&mut out);
        Self {
            format,
            limit: limit as u64,
            out,
            written: 0,
            used: 0,
        }
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        let size = data_size(reply);
        if self.used + size > self.limit {
            let error = texts::reply_too_large(self.limit, self.used + size);
            return self.error(&error);
        }
        self.used += size;
        self.separate();
        self.format.reply(&mut self.out, reply);
    }

    pub(crate) fn error(&mut self, line: &str) {
        self.separate();
        self.format.error(&mut self.out, line);
    }

    /// How many replies there are.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    fn separate(&mut self) {
        if self.written > 0 {
            self.format.separate(&mut self.out);
        }
        self.written += 1;
    }

    pub(crate) fn close(mut self) -> BytesMut {
        self.format.close(&mut self.out);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error_in_its_place() {
        let mut list = List::new(Format::Json, 40, 4);
        for reply in [
            Reply::bulk("x".repeat(30)),
            Reply::bulk("y".repeat(30)),
            Reply::Int(7),
            Reply::ok(),
        ] {
            list.reply(&reply);
        }
        let body = list.close();
        let items: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(items.len(), 4);
        assert_eq!(items[0]["result"], "x".repeat(30));
        let error = items[1]["error"].as_str().unwrap_or_default();
        assert!(
            error.starts_with("ERR max request size exceeded. Limit: 40 bytes, Actual: 64 bytes."),
            "{error}"
        );
        assert_eq!(items[2]["result"], 7);
        assert_eq!(items[3]["result"], "OK");
    }
}
