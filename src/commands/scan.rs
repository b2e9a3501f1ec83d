//! Iterators over what comes in pages: keys, fields, members, stream entries.
//!
//! An item is a `Result`; after an error the iterator ends. Redis promises that what is
//! there during the whole scan is returned at least once.
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::StreamExt as _;

use crate::{
    client::Redis,
    commands::{
        GenericCommands as _, HashCommands as _, Page, ScanOptions, SetCommands as _,
        SortedSetCommands as _, StreamCommands as _, StreamEntry,
    },
    protocol::{
        command::{Args, ToArg},
        error::Result,
        reply::{FromReply, Pairs},
    },
};

type Items<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// A stream of items; pages are asked for when they are needed.
#[must_use = "a scan does nothing unless polled"]
pub struct Scan<T>(Items<T>);

impl<T> fmt::Debug for Scan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scan")
    }
}

impl<T> Stream for Scan<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T> Scan<T> {
    /// The next item.
    pub async fn next(&mut self) -> Option<Result<T>> {
        self.0.next().await
    }

    /// All items; stops at the first error.
    ///
    /// # Errors
    /// The first error.
    pub async fn all(mut self) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            items.push(item?);
        }
        Ok(items)
    }
}

/// One page and where to go on, if anywhere.
type Fetched<T> = Result<(Vec<T>, Option<String>)>;

fn pages<T, F, Fut>(first: String, fetch: F) -> Scan<T>
where
    T: Send + 'static,
    F: Fn(String) -> Fut + Send + 'static,
    Fut: Future<Output = Fetched<T>> + Send,
{
    let start = (VecDeque::new(), Some(first), fetch);
    let items = futures_util::stream::unfold(start, |(mut held, mut next, fetch)| async move {
        loop {
            if let Some(item) = held.pop_front() {
                return Some((Ok(item), (held, next, fetch)));
            }
            match fetch(next.take()?).await {
                Ok((page, more)) => {
                    held = page.into();
                    next = more;
                }
                Err(error) => return Some((Err(error), (held, None, fetch))),
            }
        }
    });
    Scan(Box::pin(items))
}

fn turn<T>(page: Page<impl IntoIterator<Item = T>>) -> (Vec<T>, Option<String>) {
    let next = (!page.is_last()).then_some(page.cursor);
    (page.items.into_iter().collect(), next)
}

/// Entries, and that it goes on after the last one of a full page.
fn after<T>(entries: Vec<StreamEntry<T>>, page: u64) -> (Vec<StreamEntry<T>>, Option<String>) {
    let full = entries.len() as u64 == page;
    let last = entries.last().filter(|_| full);
    let next = last.map(|entry| format!("({}", entry.id));
    (entries, next)
}

/// A key kept for later pages.
fn keep(key: impl ToArg) -> Vec<u8> {
    let mut args = Args::new();
    args.add(key);
    args.get(0).unwrap_or_default().to_vec()
}

impl Redis {
    /// All keys that match, by `SCAN`.
    pub fn scan_iter<T>(&self, options: ScanOptions) -> Scan<T>
    where
        T: FromReply + Send + 'static,
    {
        let redis = self.clone();
        pages("0".into(), move |cursor| {
            let (redis, options) = (redis.clone(), options.clone());
            async move { Ok(turn(redis.scan::<T>(cursor, &options).await?)) }
        })
    }

    /// All keys that match, with their types, by `SCAN … WITHTYPE`; Upstash only.
    pub fn scan_withtype_iter<T>(&self, options: ScanOptions) -> Scan<(T, String)>
    where
        T: FromReply + Send + 'static,
    {
        let redis = self.clone();
        pages("0".into(), move |cursor| {
            let (redis, options) = (redis.clone(), options.clone());
            async move { Ok(turn(redis.scan_withtype::<T>(cursor, &options).await?)) }
        })
    }

    /// All members of a set, by `SSCAN`.
    pub fn sscan_iter<T>(&self, key: impl ToArg, options: ScanOptions) -> Scan<T>
    where
        T: FromReply + Send + 'static,
    {
        let (redis, key) = (self.clone(), keep(key));
        pages("0".into(), move |cursor| {
            let (redis, key, options) = (redis.clone(), key.clone(), options.clone());
            async move { Ok(turn(redis.sscan::<T>(key, cursor, &options).await?)) }
        })
    }

    /// All fields and values of a hash, by `HSCAN`.
    pub fn hscan_iter<F, V>(&self, key: impl ToArg, options: ScanOptions) -> Scan<(F, V)>
    where
        F: FromReply + Send + 'static,
        V: FromReply + Send + 'static,
    {
        let (redis, key) = (self.clone(), keep(key));
        pages("0".into(), move |cursor| {
            let (redis, key, options) = (redis.clone(), key.clone(), options.clone());
            async move {
                let page: Page<Pairs<F, V>> = redis.hscan(key, cursor, &options).await?;
                Ok(turn(page))
            }
        })
    }

    /// The names of all fields of a hash, by `HSCAN … NOVALUES`.
    pub fn hscan_novalues_iter<F>(&self, key: impl ToArg, options: ScanOptions) -> Scan<F>
    where
        F: FromReply + Send + 'static,
    {
        let (redis, key) = (self.clone(), keep(key));
        pages("0".into(), move |cursor| {
            let (redis, key, options) = (redis.clone(), key.clone(), options.clone());
            async move {
                let page = redis.hscan_novalues::<F>(key, cursor, &options).await?;
                Ok(turn(page))
            }
        })
    }

    /// All members of a sorted set with their scores, by `ZSCAN`.
    pub fn zscan_iter<T>(&self, key: impl ToArg, options: ScanOptions) -> Scan<(T, f64)>
    where
        T: FromReply + Send + 'static,
    {
        let (redis, key) = (self.clone(), keep(key));
        pages("0".into(), move |cursor| {
            let (redis, key, options) = (redis.clone(), key.clone(), options.clone());
            async move {
                let page: Page<Pairs<T, f64>> = redis.zscan(key, cursor, &options).await?;
                Ok(turn(page))
            }
        })
    }

    /// Entries of a stream from `start` to `end`, both included, `page` at a time.
    pub fn xrange_iter<T>(
        &self,
        key: impl ToArg,
        start: impl Into<String>,
        end: impl Into<String>,
        page: u64,
    ) -> Scan<StreamEntry<T>>
    where
        T: FromReply + Send + 'static,
    {
        let (redis, key, end) = (self.clone(), keep(key), end.into());
        pages(start.into(), move |start| {
            let (redis, key, end) = (redis.clone(), key.clone(), end.clone());
            async move {
                let page = page.max(1);
                let entries = redis.xrange::<T>(key, start, end, Some(page)).await?;
                Ok(after(entries, page))
            }
        })
    }

    /// Entries of a stream from `end` down to `start`, both included, `page` at a time.
    pub fn xrevrange_iter<T>(
        &self,
        key: impl ToArg,
        end: impl Into<String>,
        start: impl Into<String>,
        page: u64,
    ) -> Scan<StreamEntry<T>>
    where
        T: FromReply + Send + 'static,
    {
        let (redis, key, start) = (self.clone(), keep(key), start.into());
        pages(end.into(), move |end| {
            let (redis, key, start) = (redis.clone(), key.clone(), start.clone());
            async move {
                let page = page.max(1);
                let entries = redis.xrevrange::<T>(key, end, start, Some(page)).await?;
                Ok(after(entries, page))
            }
        })
    }
}
