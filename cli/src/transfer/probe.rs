//! What an export has and a database can hold, known before anything is written.

use std::collections::BTreeMap;
use std::io::BufRead;

use restis::{Error, ErrorKind, Redis, Reply};

use super::import::header;
use super::record::{End, Header, Kind, Line, Lines, Record};
use super::source::lacks_command;
use super::target::Abilities;

/// Values of a type without a form of its own that are tried.
const SAMPLE_BYTES: usize = 64 * 1024;

/// What an export has.
pub(super) struct Summary {
    pub(super) header: Header,
    /// Keys by kind.
    kinds: BTreeMap<Kind, u64>,
    /// Keys with fields that end by themselves.
    field_ttls: u64,
    sample: Option<Vec<u8>>,
}

impl Summary {
    /// Reads all lines.
    ///
    /// # Errors
    /// A sentence for a line that is damaged, and for an export that is not complete.
    pub(super) fn read<R: BufRead>(mut lines: Lines<R>) -> Result<Self, String> {
        let mut summary = Self {
            header: header(&mut lines)?,
            kinds: BTreeMap::new(),
            field_ttls: 0,
            sample: None,
        };
        let mut read = End::default();
        loop {
            match lines.next()? {
                Some(Line::Key(record)) => {
                    read.records += 1;
                    read.keys += u64::from(!record.more);
                    summary.add(&record);
                }
                Some(Line::Cursor(_)) => {}
                Some(Line::End(end)) if end == read => return Ok(summary),
                Some(Line::End(_)) => return Err("lines are missing".to_owned()),
                Some(Line::Export(_)) => return Err("a second export begins".to_owned()),
                None => {
                    return Err(
                        "the export is incomplete: `restis export --resume` goes on \
                                with it"
                            .to_owned(),
                    );
                }
            }
        }
    }

    fn add(&mut self, record: &Record) {
        if record.p == 0 {
            *self.kinds.entry(record.t).or_default() += 1;
            self.field_ttls += u64::from(!record.e.is_empty());
        }
        if record.t == Kind::Dump && self.sample.is_none() {
            let payload = record.d.first().map(|payload| payload.0.clone());
            self.sample = payload.filter(|payload| payload.len() <= SAMPLE_BYTES);
        }
    }
}

/// What a database can hold.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) abilities: Abilities,
    json: bool,
    dump: bool,
    /// What the export has and the database cannot hold, in words.
    pub(super) lacks: Vec<String>,
}

impl Probe {
    /// Tries what the export has.
    pub(super) async fn of(redis: &Redis, summary: &Summary) -> Result<Self, Error> {
        let count = |kind: Kind| summary.kinds.get(&kind).copied().unwrap_or(0);
        let mut probe = Self::tried(
            redis,
            count(Kind::Json) > 0,
            summary.field_ttls > 0,
            count(Kind::Stream) > 0,
            summary.sample.as_deref(),
        )
        .await?;
        for (able, count, what) in [
            (probe.json, count(Kind::Json), "JSON documents"),
            (
                probe.abilities.field_ttls,
                summary.field_ttls,
                "hashes whose fields end by themselves",
            ),
            (probe.dump, count(Kind::Dump), "keys of other types"),
        ] {
            if !able {
                probe.lacks.push(format!("{what} ({count})"));
            }
        }
        Ok(probe)
    }

    /// Tries everything.
    pub(super) async fn all(redis: &Redis) -> Result<Self, Error> {
        Self::tried(redis, true, true, true, None).await
    }

    async fn tried(
        redis: &Redis,
        json: bool,
        field_ttls: bool,
        streams: bool,
        payload: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let token = restis_server::random_token().map_err(|error| {
            Error::new(
                ErrorKind::Config,
                restis::Delivery::NotSent,
                error.to_string(),
            )
        })?;
        let key = format!("restis:import:{token}");
        // A token that may not write is told here.
        redis
            .command("SET")
            .arg(&key)
            .arg("")
            .arg("PX")
            .arg(10_000)
            .query::<Reply>()
            .await?;
        let able = Able { redis, key: &key };
        let mut probe = Self {
            abilities: Abilities {
                field_ttls: true,
                stream_numbers: true,
            },
            json: true,
            dump: true,
            lacks: Vec::new(),
        };
        if json {
            probe.json = able.runs(&[&["JSON.SET", &key, "$", "1"]]).await?;
        }
        if field_ttls {
            let expire = ["HPEXPIREAT", &key, "99999999999999", "FIELDS", "1", "f"];
            probe.abilities.field_ttls = able.runs(&[&["HSET", &key, "f", ""], &expire]).await?;
        }
        if streams {
            let set = [
                "XSETID",
                &key,
                "1-1",
                "ENTRIESADDED",
                "1",
                "MAXDELETEDID",
                "0-0",
            ];
            probe.abilities.stream_numbers =
                able.runs(&[&["XADD", &key, "1-1", "f", ""], &set]).await?;
        }
        if let Some(payload) = payload {
            let restore = redis
                .command("RESTORE")
                .arg(&key)
                .arg(0)
                .arg(payload)
                .arg("REPLACE");
            probe.dump = restore.query::<Reply>().await.is_ok();
        }
        able.clean().await?;
        Ok(probe)
    }

    /// Whether the record can be written, or at least what matters of it.
    pub(super) fn can_hold(&self, record: &Record) -> bool {
        match record.t {
            Kind::Json => self.json,
            Kind::Dump => self.dump,
            _ => true,
        }
    }
}

/// Tries commands on a key of its own.
struct Able<'a> {
    redis: &'a Redis,
    key: &'a str,
}

impl Able<'_> {
    async fn runs(&self, commands: &[&[&str]]) -> Result<bool, Error> {
        self.clean().await?;
        for command in commands {
            let Some((name, args)) = command.split_first() else {
                continue;
            };
            let ran = self.redis.command(name).args(args.iter().copied());
            match ran.query::<Reply>().await {
                Ok(_) => {}
                Err(error) if lacks_command(&error) || error.kind() == ErrorKind::Server => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    async fn clean(&self) -> Result<(), Error> {
        self.redis
            .command("DEL")
            .arg(self.key)
            .query::<Reply>()
            .await?;
        Ok(())
    }
}
