//! One exchange with its retries.
use std::{sync::Arc, task::Poll, time::Duration};

use tracing::Instrument as _;

use super::{
    CommandContext, Dispatcher,
    breaker::Permit,
    calls::BatchCalls,
    plan::{self, Part},
    script_batch,
};
use crate::{
    client::{metrics::Flusher, script},
    protocol::{
        command_table,
        error::{Delivery, Error, ErrorKind, Result},
        reply::Reply,
    },
    transport::{
        Exchange, Mode, TransportResponse,
        time::{self, Instant},
    },
};

const BASE: Duration = Duration::from_millis(20);
const CAP: Duration = Duration::from_millis(500);

/// Runs one part of a batch and hands out its results.
pub(super) async fn run(core: &Arc<Dispatcher>, calls: &Arc<BatchCalls>, part: Part) {
    let Part {
        mode,
        commands,
        mut contexts,
        places,
    } = part;
    let mut exchange = Exchange::new(mode, commands);
    if !calls.lock().start(&places, exchange.sent_flag()) {
        return;
    }
    let flush = PendingFlush::join(core, &mut exchange, &mut contexts);
    let mut tries = Tries {
        core,
        calls,
        attempts: 0,
    };
    let mut results = tries.results(&mut exchange, &contexts).await;
    if let Some(flush) = flush {
        exchange.commands.pop();
        contexts.pop();
        flush.done(results.pop());
    }
    let results = tries.items(&exchange, &contexts, results).await;
    calls.complete(&places, results.into_iter());
}

/// Most commands beside which counters travel: an exchange has a limit.
const FLUSH_BESIDE: usize = 100;

/// The command that writes the counters, as the last one of an exchange.
struct PendingFlush<'c>(Option<&'c Flusher>);

impl<'c> PendingFlush<'c> {
    /// Adds the command if it is time for it.
    fn join(
        core: &'c Dispatcher,
        exchange: &mut Exchange,
        contexts: &mut Vec<CommandContext>,
    ) -> Option<Self> {
        let metrics = core.metrics();
        let flusher = metrics.flusher()?;
        if exchange.mode == Mode::Transaction || exchange.commands.len() > FLUSH_BESIDE {
            return None;
        }
        exchange.commands.push(metrics.flush_due()?);
        exchange.mode = Mode::Pipeline;
        // It writes totals: twice is as good as once.
        contexts.push(CommandContext {
            repeatable: true,
            script: None,
        });
        Some(Self(Some(flusher)))
    }

    fn done(mut self, result: Option<Result<Reply>>) {
        if let (Some(flusher), Some(result)) = (self.0.take(), result) {
            flusher.done(result);
        }
    }
}

impl Drop for PendingFlush<'_> {
    fn drop(&mut self) {
        if let Some(flusher) = self.0.take() {
            let why = "the exchange was abandoned";
            let error = Error::new(ErrorKind::Interrupted, Delivery::MaybeExecuted, why);
            flusher.done(Err(error));
        }
    }
}

struct Tries<'a> {
    core: &'a Arc<Dispatcher>,
    calls: &'a Arc<BatchCalls>,
    attempts: u32,
}

impl Tries<'_> {
    /// One result a command, after every script was found.
    async fn results(
        &mut self,
        exchange: &mut Exchange,
        contexts: &[CommandContext],
    ) -> Vec<Result<Reply>> {
        let answer = self.until_answered(exchange, contexts).await;
        let mut results = spread(answer, exchange.commands.len());
        self.repair(exchange, contexts, &mut results).await;
        self.read_apart(exchange, contexts, &mut results).await;
        results
    }

    /// Attempts until an answer comes, a retry would be wrong or time is up.
    async fn until_answered(
        &mut self,
        exchange: &mut Exchange,
        contexts: &[CommandContext],
    ) -> Result<Vec<Reply>> {
        let shared = &self.core.shared;
        let mut doubtful = false;
        let mut retries = 0;
        let mut last = None;
        loop {
            let permit = match shared.breaker.admit() {
                Ok(permit) => permit,
                // What happened says more than that it happened too often.
                Err(open) => return Err(last.unwrap_or(open)),
            };
            let error = match self.once(permit, exchange).await {
                Ok(replies)
                    if refused_for_upgrade(&replies) && retries < shared.policy.max_retries =>
                {
                    // Nothing ran; the same commands may be accepted in a moment.
                    match self.pause(retries, None) {
                        Some(pause) => pause.await,
                        None => return Ok(replies),
                    }
                    retries += 1;
                    continue;
                }
                Ok(replies) => return Ok(replies),
                Err(error) => error,
            };
            if error.delivery() == Delivery::MaybeExecuted {
                doubtful = true;
                self.calls.lock().doubt();
            }
            // A later attempt that was not sent does not undo an earlier one that was.
            let error = if doubtful && error.delivery() == Delivery::NotSent {
                error.with_delivery(Delivery::MaybeExecuted)
            } else {
                error
            };
            let error = error.with_attempts(self.attempts);
            let ends = retries >= shared.policy.max_retries || shared.breaker.refuses();
            if ends || !may_repeat(&error, doubtful, exchange, contexts) {
                return Err(error);
            }
            let Some(pause) = self.pause(retries, error.retry_after()) else {
                return Err(error);
            };
            pause.await;
            retries += 1;
            last = Some(error);
        }
    }

    /// The wait before a retry, or `None` when there is no time or budget for one.
    fn pause(
        &self,
        retries: u32,
        asked: Option<Duration>,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let ceiling = BASE.saturating_mul(1 << retries.min(16)).min(CAP);
        // Between half and all of it, so that clients do not retry in step.
        let own = ceiling.mul_f64(0.5 + time::random() / 2.0);
        let wait = asked.map_or(own, |asked| asked.saturating_add(own));
        let left = self
            .calls
            .lock()
            .latest()?
            .saturating_duration_since(Instant::now());
        if wait >= left || !self.core.shared.budget.spend() {
            return None;
        }
        self.core.shared.metrics.retry();
        Some(time::sleep(wait))
    }

    async fn once(&mut self, permit: Permit<'_>, exchange: &mut Exchange) -> Result<Vec<Reply>> {
        let shared = &self.core.shared;
        if self.attempts == 0 {
            shared.budget.earn();
        }
        self.attempts += 1;
        self.calls.lock().attempt(self.attempts);
        let (token, mark) = self.core.sync_state.start();
        exchange.sync_token = token.filter(|_| shared.policy.read_your_writes);
        exchange.timeout = self.calls.lock().latest().map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        });
        exchange.rewind(shared.transport.sends_at_once());
        let span = tracing::debug_span!(
            "redis",
            mode = exchange.mode.as_str(),
            commands = exchange.commands.len(),
            command = exchange
                .commands
                .first()
                .map(command_table::name_of)
                .as_deref(),
            attempt = self.attempts,
        );
        let _in_flight = shared.metrics.begin_request();
        let start = Instant::now();
        let answer = self.answer(exchange).instrument(span).await;
        if answer.is_ok() {
            let round_trip = Instant::now().saturating_duration_since(start);
            shared.in_flight.observe(round_trip);
        }
        settle(permit, &answer);
        shared
            .metrics
            .request(exchange.commands.len(), answer.as_ref());
        let answer = answer?;
        self.calls.lock().answered(answer.status);
        if shared.policy.read_your_writes {
            let wrote = answer.sync_token.is_some() && plan::writes(&exchange.commands);
            self.core.sync_state.advance(mark, answer.sync_token, wrote);
        }
        if answer.replies.len() != exchange.commands.len() {
            return Err(Error::protocol("another number of replies than commands"));
        }
        Ok(answer.replies)
    }

    /// The answer, or a timeout once every caller has given up.
    async fn answer(&self, exchange: &Exchange) -> Result<TransportResponse> {
        let mut execute = self.core.shared.transport.execute(exchange);
        std::future::poll_fn(|cx| {
            if self.calls.is_expired() {
                let delivery = if exchange.is_sent() {
                    Delivery::MaybeExecuted
                } else {
                    Delivery::NotSent
                };
                let error = Error::new(ErrorKind::Timeout, delivery, "no answer in time");
                return Poll::Ready(Err(error));
            }
            execute.as_mut().poll(cx)
        })
        .await
    }

    /// The result of each item; sends an item on its own where a call was refused because of
    /// keys of other items.
    async fn items(
        &mut self,
        exchange: &Exchange,
        contexts: &[CommandContext],
        results: Vec<Result<Reply>>,
    ) -> Vec<Result<Reply>> {
        if !script_batch::has_items(contexts) {
            return results;
        }
        let joined_calls = &self.core.shared.joined_calls;
        let refused = script_batch::refused(joined_calls, &exchange.commands, contexts, &results);
        let each = contexts.iter().zip(results);
        let mut each: Vec<_> = each
            .flat_map(|(context, result)| script_batch::split(context, result))
            .collect();
        if refused.is_empty() {
            return each;
        }
        let (mut places, mut singles, mut single_contexts) = (Vec::new(), Vec::new(), Vec::new());
        for (place, call, context) in refused {
            places.push(place);
            singles.push(call);
            single_contexts.push(context);
        }
        let mut again = Exchange::new(Mode::Pipeline, singles).sharing_sent_flag(exchange);
        let answers = self.results(&mut again, &single_contexts).await;
        let answers = single_contexts.iter().zip(answers);
        let answers = answers.flat_map(|(context, result)| script_batch::split(context, result));
        for (place, answer) in places.into_iter().zip(answers) {
            if let Some(to) = each.get_mut(place) {
                *to = answer;
            }
        }
        each
    }

    /// Runs scripts by text that the server does not know by hash, inside the same call.
    async fn repair(
        &mut self,
        exchange: &mut Exchange,
        contexts: &[CommandContext],
        results: &mut [Result<Reply>],
    ) {
        // In a transaction the other commands have run; it cannot be mended.
        if exchange.mode == Mode::Transaction {
            return;
        }
        // Once for the text, once more where the server rejects the flag in it; then each by its text,
        // for a cluster, where every node has to get it.
        for round in 0..3 {
            let fixes = script::fixes(
                self.core.key_locking(),
                &exchange.commands,
                contexts,
                results,
                round == 2,
            );
            if fixes.is_empty() {
                return;
            }
            let (places, commands): (Vec<usize>, Vec<_>) = fixes.into_iter().unzip();
            let mode = if commands.len() == 1 {
                Mode::Single
            } else {
                Mode::Pipeline
            };
            let mut again = Exchange::new(mode, commands).sharing_sent_flag(exchange);
            let again_contexts: Vec<_> = places
                .iter()
                .filter_map(|place| contexts.get(*place).cloned())
                .collect();
            let answer = self.until_answered(&mut again, &again_contexts).await;
            let fixed = spread(answer, places.len());
            let fixed = fixed.into_iter().zip(again.commands);
            for (place, (result, args)) in places.into_iter().zip(fixed) {
                if let (Some(to), Some(from)) =
                    (results.get_mut(place), exchange.commands.get_mut(place))
                {
                    *to = result;
                    *from = args;
                }
            }
        }
    }

    /// Repeats, in smaller parts, reads that did not fit into one answer.
    async fn read_apart(
        &mut self,
        exchange: &Exchange,
        contexts: &[CommandContext],
        results: &mut [Result<Reply>],
    ) {
        let commands = &exchange.commands;
        if exchange.mode != Mode::Pipeline || commands.len() < 2 {
            return;
        }
        let places = (0..commands.len()).filter(|&place| {
            results.get(place).is_some_and(is_too_large) && plan::may_read_later(commands, place)
        });
        let places: Vec<usize> = places.collect();
        let mut parts: Vec<_> = if results.iter().all(Result::is_err) {
            // The answer as a whole was too large: nothing tells which reply made it so.
            let (front, back) = places.split_at(places.len() / 2);
            vec![back.to_vec(), front.to_vec()]
        } else {
            places.into_iter().map(|place| vec![place]).collect()
        };
        while let Some(part) = parts.pop() {
            let mode = match part.len() {
                0 => continue,
                1 => Mode::Single,
                _ => Mode::Pipeline,
            };
            let again_commands = part.iter().map(|place| commands[*place].clone()).collect();
            let again_contexts: Vec<_> = part.iter().map(|at| contexts[*at].clone()).collect();
            let mut again = Exchange::new(mode, again_commands).sharing_sent_flag(exchange);
            match self.until_answered(&mut again, &again_contexts).await {
                Err(error) if error.kind() == ErrorKind::TooLarge && part.len() > 1 => {
                    let (front, back) = part.split_at(part.len() / 2);
                    parts.extend([back.to_vec(), front.to_vec()]);
                }
                answer => {
                    let answers = spread(answer, part.len());
                    for (place, answer) in part.into_iter().zip(answers) {
                        results[place] = answer;
                    }
                }
            }
        }
    }
}

/// The reply did not fit into the answer, alone or beside those of others.
fn is_too_large(result: &Result<Reply>) -> bool {
    match result {
        Ok(Reply::Error(error)) => Error::from_server(error.clone()).kind() == ErrorKind::TooLarge,
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::TooLarge,
    }
}

/// One result a command.
fn spread(answer: Result<Vec<Reply>>, commands: usize) -> Vec<Result<Reply>> {
    match answer {
        Ok(replies) => replies.into_iter().map(Ok).collect(),
        Err(error) => (0..commands).map(|_| Err(error.clone())).collect(),
    }
}

/// Every command was refused because the server is being upgraded.
fn refused_for_upgrade(replies: &[Reply]) -> bool {
    replies
        .iter()
        .all(|r| matches!(r, Reply::Error(e) if e.is_upgrade()))
}

/// Tells the breaker: a server that answers anything of its own is not down.
fn settle(permit: Permit<'_>, answer: &Result<TransportResponse>) {
    match answer {
        Ok(_) => permit.success(),
        Err(e) => match e.kind() {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Interrupted
            | ErrorKind::Gateway
            | ErrorKind::Protocol => permit.failure(),
            // Never left this process.
            ErrorKind::InvalidInput => drop(permit),
            _ => permit.success(),
        },
    }
}

fn may_repeat(
    error: &Error,
    doubtful: bool,
    exchange: &Exchange,
    contexts: &[CommandContext],
) -> bool {
    let passing = match error.kind() {
        ErrorKind::Connect
        | ErrorKind::Timeout
        | ErrorKind::Interrupted
        | ErrorKind::RateLimited => true,
        ErrorKind::Gateway => matches!(error.status(), Some(500 | 502 | 503 | 504)),
        ErrorKind::ReadOnly => error.is_server_upgrade(),
        _ => false,
    };
    passing && (!doubtful || plan::is_safe(&exchange.commands, contexts))
}
