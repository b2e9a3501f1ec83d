//! The commands of a database at a pace that a page can draw.
//!
//! A sampled monitor costs little however much there is: a command that is left out is counted and
//! never written as a line, and what is kept is read ten times a second, by a clock.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use restis_engine::{Frame, Sink};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::backend::{Frames, Guard};

/// How often there is a batch.
const PERIOD: Duration = Duration::from_millis(100);
/// Lines that each period makes room for, and lines that there is room for after a pause.
const REFILL: usize = 50;
const BURST: usize = 1000;
/// Arguments of a command that the words of a filter are looked for in, and bytes of each.
const ARGUMENTS: usize = 16;
const ARGUMENT_BYTES: usize = 256;
/// Lines of a Redis that are looked at before others have their turn.
const AT_ONCE: usize = 1000;

/// Which commands a [`MonitorStream`] shows.
#[derive(Clone, Debug, Default)]
pub struct MonitorFilter {
    /// In lower case, none of them empty.
    words: Vec<Vec<u8>>,
}

impl MonitorFilter {
    /// Commands that contain each word of a text, in whatever case; all of them for an empty text.
    ///
    /// A word is looked for in the first 16 arguments, the name among them, and in the first 256
    /// bytes of each. At most eight words count.
    pub fn new(text: &str) -> Self {
        let words = text.split_whitespace().take(8);
        Self {
            words: words.map(|word| word.to_ascii_lowercase().into()).collect(),
        }
    }

    fn matches(&self, args: &[&[u8]]) -> bool {
        let shown = &args[..args.len().min(ARGUMENTS)];
        let contains = |arg: &&[u8], word: &[u8]| {
            let begin = &arg[..arg.len().min(ARGUMENT_BYTES)];
            let mut parts = begin.windows(word.len());
            parts.any(|part| part.eq_ignore_ascii_case(word))
        };
        let mut words = self.words.iter();
        words.all(|word| shown.iter().any(|arg| contains(arg, word)))
    }
}

/// What a database did in a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorBatch {
    /// Lines as `MONITOR` writes them, oldest first.
    pub lines: Vec<Bytes>,
    /// Commands that ran, whether the filter lets them through or not.
    pub seen: u64,
    /// Commands that the filter lets through and that are too many to be shown.
    pub left_out: u64,
}

/// Keeps some of the commands until they are read.
#[derive(Debug)]
pub(crate) struct Sample {
    filter: MonitorFilter,
    seen: AtomicU64,
    left_out: AtomicU64,
    /// Lines that are still wanted.
    room: AtomicUsize,
    lines: Mutex<Vec<Bytes>>,
}

impl Sample {
    pub(crate) fn new(filter: MonitorFilter) -> Self {
        Self {
            filter,
            seen: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            room: AtomicUsize::new(BURST),
            lines: Mutex::default(),
        }
    }

    fn take(&self) -> MonitorBatch {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *lines);
        let room = self.room.load(Ordering::Relaxed);
        self.room
            .fetch_add(REFILL.min(BURST.saturating_sub(room)), Ordering::Relaxed);
        MonitorBatch {
            lines,
            seen: self.seen.swap(0, Ordering::Relaxed),
            left_out: self.left_out.swap(0, Ordering::Relaxed),
        }
    }
}

impl Sink for Sample {
    fn push(&self, frame: Frame) -> bool {
        if let Frame::Monitor(line) = frame {
            // Another thread takes lines, and makes room only: there is one for this.
            self.room.fetch_sub(1, Ordering::Relaxed);
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line);
        }
        true
    }

    /// The engine asks one command after another: it holds a lock meanwhile.
    fn wants(&self, args: &[&[u8]]) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if !self.filter.matches(args) {
            return false;
        }
        let has_room = self.room.load(Ordering::Relaxed) > 0;
        if !has_room {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}

/// The commands of a database, ten batches a second while it does something.
///
/// After a pause up to 1000 commands are shown at once, then 500 a second; the others are counted.
pub struct MonitorStream {
    sample: Arc<Sample>,
    /// Lines of a Redis, which come whether they are wanted or not.
    frames: Option<Frames>,
    period: Interval,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Held while the stream lives; dropping it ends the subscription.
    _guard: Guard,
}

impl MonitorStream {
    /// What `sample` keeps, or what comes as frames, until the guard is dropped or `stop` is ready.
    pub(crate) fn new(
        sample: Arc<Sample>,
        frames: Option<Frames>,
        stop: impl Future<Output = ()> + Send + 'static,
        guard: Guard,
    ) -> Self {
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            sample,
            frames,
            period,
            stop: Box::pin(stop),
            _guard: guard,
        }
    }

    /// Takes the lines of a Redis; `true` when there are no more for good.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(frames) = &mut self.frames else {
            return false;
        };
        for _ in 0..AT_ONCE {
            match frames.as_mut().poll_next(cx) {
                Poll::Ready(Some(Frame::Monitor(line))) => {
                    if self.sample.wants(&[&line]) {
                        self.sample.push(Frame::Monitor(line));
                    }
                }
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
        cx.waker().wake_by_ref();
        false
    }
}

impl fmt::Debug for MonitorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MonitorStream")
    }
}

impl Stream for MonitorStream {
    type Item = MonitorBatch;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<MonitorBatch>> {
        if self.poll_frames(cx) || self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        loop {
            ready!(self.period.poll_tick(cx));
            let batch = self.sample.take();
            if batch.seen > 0 {
                return Poll::Ready(Some(batch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(filter: &str) -> Sample {
        Sample::new(MonitorFilter::new(filter))
    }

    fn run(sample: &Sample, args: &[&str]) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        if sample.wants(&args) {
            sample.push(Frame::Monitor(Bytes::from(args.concat())));
        }
    }

    #[test]
    fn each_word_is_somewhere_in_the_command() {
        let filter = MonitorFilter::new(" set  User:1 ");
        for (args, fits) in [
            (vec!["SET", "user:1", "v"], true),
            (vec!["HSET", "a:USER:12", "f", "v"], true),
            (vec!["SET", "user:2", "v"], false),
            (vec!["GET", "user:1"], false),
            (vec![], false),
        ] {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            assert_eq!(filter.matches(&args), fits, "{args:?}");
        }
        assert!(MonitorFilter::new(" ").matches(&[]));
        let far = ["x".repeat(ARGUMENT_BYTES), "set".to_owned()].concat();
        assert!(!filter.matches(&[far.as_bytes(), b"user:1"]));
    }

    #[test]
    fn what_is_too_much_is_counted_and_there_is_room_again_later() {
        let sample = sample("");
        for _ in 0..BURST + 7 {
            run(&sample, &["PING"]);
        }
        let batch = sample.take();
        assert_eq!(batch.lines.len(), BURST);
        assert_eq!((batch.seen, batch.left_out), (BURST as u64 + 7, 7));
        for _ in 0..=REFILL {
            run(&sample, &["PING"]);
        }
        let batch = sample.take();
        assert_eq!((batch.lines.len(), batch.left_out), (REFILL, 1));
        for _ in 0..2 * BURST / REFILL {
            sample.take();
        }
        assert_eq!(sample.room.load(Ordering::Relaxed), BURST);
    }

    #[test]
    fn what_the_filter_holds_back_is_not_left_out() {
        let sample = sample("wanted");
        for _ in 0..2 * BURST {
            run(&sample, &["SET", "other", "v"]);
        }
        run(&sample, &["GET", "Wanted"]);
        let batch = sample.take();
        assert_eq!(batch.lines, ["GETWanted"]);
        assert_eq!((batch.seen, batch.left_out), (2 * BURST as u64 + 1, 0));
    }
}
