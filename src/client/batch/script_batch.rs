//! Joins calls of one script that stand next to each other into one call.
//!
//! A script that works on [items](crate::client::script::ScriptCall::item) gets the keys that they
//! share, the keys of each, the arguments that they share, and the arguments of each. It returns a
//! list with one reply for each item, in order; for an item that failed it returns the text of the
//! error, and leaves the others alone.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{CommandContext, ScriptContext, ScriptItems};
use crate::protocol::{
    command::Args,
    error::{Error, Result},
    reply::{Reply, ServerError},
};

/// Most items of one call: a script blocks the keys of all of them while it runs.
const MAX_ITEMS: usize = 128;

/// Whether the server takes keys of different items in one call; assumed until it refuses.
#[derive(Debug, Default)]
pub(crate) struct JoinedCalls {
    rejected: AtomicBool,
}

impl JoinedCalls {
    pub(super) fn are_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }
}

impl CommandContext {
    fn items(&self) -> Option<ScriptItems> {
        self.script.as_ref()?.items
    }

    /// How many items a script is called for; 0 for any other command.
    fn item_count(&self) -> usize {
        self.items().map_or(0, |items| items.count as usize)
    }

    /// This context for another number of items.
    fn with_items(&self, count: usize) -> Self {
        let script = self.script.as_ref().map(|script| ScriptContext {
            forms: Arc::clone(&script.forms),
            items: script.items.map(|items| ScriptItems {
                count: count as u32,
                ..items
            }),
        });
        Self {
            repeatable: self.repeatable,
            script,
        }
    }
}

/// How the arguments of a call are laid out: `EVALSHA`, hash, number of keys, shared keys, own
/// keys of each item, shared arguments, own arguments of each item.
#[derive(Clone, Copy)]
struct Layout {
    /// Where the own keys begin.
    own_keys: usize,
    /// Own keys of an item.
    item_keys: usize,
    /// Where the arguments begin.
    args: usize,
    /// Where the own arguments begin.
    own_args: usize,
    /// Own arguments of an item.
    item_args: usize,
}

const HEAD: usize = 3;

impl Layout {
    fn of(call: &Args, context: &CommandContext) -> Option<Self> {
        let items = context.items()?;
        let count = items.count as usize;
        let keys: usize = std::str::from_utf8(call.get(2)?).ok()?.parse().ok()?;
        let shared_keys = items.shared_keys as usize;
        let args = HEAD + keys;
        let own_args = args + items.shared_args as usize;
        Some(Self {
            own_keys: HEAD + shared_keys,
            item_keys: keys.checked_sub(shared_keys)?.checked_div(count)?,
            args,
            own_args,
            item_args: call.len().checked_sub(own_args)?.checked_div(count)?,
        })
    }

    /// Builds one call for the items of all calls.
    fn join(self, first: &Args, calls: &[Args]) -> Args {
        let mut all = Args::new();
        let sum = |of: fn(&Args) -> usize| calls.iter().map(of).sum();
        all.reserve(sum(Args::len), sum(Args::bytes));
        all.append(first, 0..HEAD - 1);
        all.add(self.own_keys - HEAD + self.item_keys * calls.len());
        all.append(first, HEAD..self.own_keys);
        for call in calls {
            all.append(call, self.own_keys..self.args);
        }
        all.append(first, self.args..self.own_args);
        for call in calls {
            all.append(call, self.own_args..call.len());
        }
        all
    }

    /// Builds the call for one of the items.
    fn single(self, all: &Args, item: usize) -> Args {
        let mut call = Args::new();
        call.append(all, 0..HEAD - 1);
        call.add(self.own_keys - HEAD + self.item_keys);
        call.append(all, HEAD..self.own_keys);
        let keys = self.own_keys + item * self.item_keys;
        call.append(all, keys..keys + self.item_keys);
        call.append(all, self.args..self.own_args);
        let own = self.own_args + item * self.item_args;
        call.append(all, own..own + self.item_args);
        call
    }
}

/// Whether a call differs from the first only by own keys and own arguments.
fn can_join(
    (first, first_context): (&Args, &CommandContext),
    layout: Layout,
    (call, context): (&Args, &CommandContext),
) -> bool {
    let same_script = match (&first_context.script, &context.script) {
        (Some(first), Some(call)) => Arc::ptr_eq(&first.forms, &call.forms),
        _ => false,
    };
    same_script
        && first_context.items() == context.items()
        && first_context.repeatable == context.repeatable
        // The same hash, number of keys and number of arguments are the same layout.
        && first.len() == call.len()
        && (0..layout.own_keys)
            .chain(layout.args..layout.own_args)
            .all(|index| first.get(index) == call.get(index))
}

/// Whether any of the commands is a script call for items.
pub(super) fn has_items(contexts: &[CommandContext]) -> bool {
    contexts.iter().any(|context| context.items().is_some())
}

/// Joins neighbours that can be; the order stays.
pub(super) fn join(calls: &mut Vec<Args>, contexts: &mut Vec<CommandContext>) {
    if !has_items(contexts) {
        return;
    }
    let (mut joined, mut joined_contexts) = (Vec::new(), Vec::new());
    let mut from = 0;
    while let (Some(first), Some(context)) = (calls.get(from), contexts.get(from)) {
        let layout = Layout::of(first, context);
        let run = layout.map_or(1, |layout| {
            let others = calls[from..].iter().zip(&contexts[from..]);
            let others = others.take(MAX_ITEMS).skip(1);
            1 + others
                .take_while(|other| can_join((first, context), layout, *other))
                .count()
        });
        match layout {
            Some(layout) if run > 1 => {
                joined.push(layout.join(first, &calls[from..from + run]));
                joined_contexts.push(context.with_items(run));
            }
            _ => {
                joined_contexts.push(context.clone());
                joined.push(std::mem::take(&mut calls[from]));
            }
        }
        from += run;
    }
    *calls = joined;
    *contexts = joined_contexts;
}

/// The single calls of those that were refused because of keys of other items, each with the
/// number of its item among all of the exchange.
///
/// Nothing of such a call ran: the keys lie apart in a cluster, or one of them is not permitted.
pub(super) fn refused(
    joined_calls: &JoinedCalls,
    calls: &[Args],
    contexts: &[CommandContext],
    results: &[Result<Reply>],
) -> Vec<(usize, Args, CommandContext)> {
    let (mut refused, mut number) = (Vec::new(), 0);
    for ((call, context), result) in calls.iter().zip(contexts).zip(results) {
        let (first, items) = (number, context.item_count());
        number += items.max(1);
        let (2.., Ok(Reply::Error(error))) = (items, result) else {
            continue;
        };
        let shares_keys = context.items().is_some_and(|items| items.shared_keys > 0);
        match error.code() {
            "CROSSSLOT" => joined_calls.rejected.store(true, Ordering::Relaxed),
            // With shared keys it can be an error of a command that ran after others.
            "NOPERM" if !shares_keys => {}
            _ => continue,
        }
        if let Some(layout) = Layout::of(call, context) {
            let single = context.with_items(1);
            refused.extend(
                (0..items).map(|item| (first + item, layout.single(call, item), single.clone())),
            );
        }
    }
    refused
}

/// The results of one call, one an item.
pub(super) fn split(
    context: &CommandContext,
    result: Result<Reply>,
) -> impl Iterator<Item = Result<Reply>> {
    let items = context.item_count().max(1);
    let (list, one) = match result {
        result if context.items().is_none() => (None, result),
        Ok(Reply::Array(list)) if list.len() == items => (Some(list), Ok(Reply::Nil)),
        Ok(Reply::Error(error)) => (None, Ok(Reply::Error(error))),
        Ok(_) => (None, Err(Error::protocol("not one reply an item"))),
        Err(error) => (None, Err(error)),
    };
    let same = if list.is_none() { items } else { 0 };
    let own = list.into_iter().flatten().map(|reply| match reply {
        Reply::Bulk(text) => {
            let line = String::from_utf8_lossy(&text).into_owned();
            Ok(Reply::Error(ServerError::new(line)))
        }
        reply => Ok(reply),
    });
    own.chain(std::iter::repeat_n(one, same))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Mutex;

    use super::*;
    use crate::{
        Redis, Script,
        transport::{BoxFuture, Exchange, Transport, TransportResponse},
    };

    static PAIRS: Script = Script::new("pairs");
    static OTHERS: Script = Script::new("others");

    /// Answers each question by its key; refuses the company of keys when told to.
    #[derive(Debug, Clone, Default)]
    struct Server {
        refusal: Option<&'static str>,
        seen: Arc<Mutex<Vec<Vec<String>>>>,
    }

    impl Server {
        fn client(&self) -> Redis {
            crate::client::config::Builder::over(self.clone())
                .build()
                .unwrap()
        }
        fn seen(&self) -> Vec<Vec<String>> {
            std::mem::take(&mut self.seen.lock().unwrap())
        }
    }

    impl Transport for Server {
        fn execute<'a>(
            &'a self,
            exchange: &'a Exchange,
        ) -> BoxFuture<'a, Result<TransportResponse>> {
            let texts = |call: &Args| -> Vec<String> {
                let each = call.iter().skip(2);
                each.map(|a| String::from_utf8_lossy(a).into_owned())
                    .collect()
            };
            let calls: Vec<_> = exchange.commands.iter().map(texts).collect();
            let replies = calls.iter().map(|call| {
                let keys: usize = call[0].parse().unwrap();
                if let (Some(line), 2..) = (self.refusal, keys) {
                    return Reply::Error(ServerError::new(line));
                }
                let each = call[1..=keys].iter();
                Reply::Array(
                    each.map(|key| match key.as_str() {
                        "bad" => Reply::Bulk("WRONGTYPE of bad".into()),
                        key => Reply::Int(key.parse().unwrap()),
                    })
                    .collect(),
                )
            });
            let replies = replies.collect();
            self.seen
                .lock()
                .unwrap()
                .extend(calls.iter().map(|call| call[1..].to_vec()));
            Box::pin(std::future::ready(Ok(TransportResponse {
                replies,
                sync_token: None,
                request_bytes: 0,
                reply_bytes: 0,
                status: None,
            })))
        }
    }

    async fn ask(redis: &Redis, script: &'static Script, key: &str, shared: u8) -> Result<i64> {
        let mut call = script.key(key).arg(shared);
        call.item().add(key);
        call.run(redis).await
    }

    #[tokio::test]
    async fn neighbours_become_one_call_and_each_gets_its_own_reply() {
        let server = Server::default();
        let redis = server.client();
        let replies = tokio::join!(
            ask(&redis, &PAIRS, "1", 7),
            ask(&redis, &PAIRS, "bad", 7),
            ask(&redis, &PAIRS, "3", 7),
            ask(&redis, &PAIRS, "4", 8),
            ask(&redis, &OTHERS, "5", 8),
            ask(&redis, &PAIRS, "6", 8),
        );
        assert_eq!(replies.0.unwrap(), 1);
        assert_eq!(replies.1.unwrap_err().code(), Some("WRONGTYPE"));
        assert_eq!(replies.2.unwrap(), 3);
        assert_eq!(replies.3.unwrap(), 4);
        assert_eq!(replies.4.unwrap(), 5);
        assert_eq!(replies.5.unwrap(), 6);
        let seen = server.seen();
        let expected: [&[&str]; 4] = [
            &["1", "bad", "3", "7", "1", "bad", "3"],
            &["4", "8", "4"],
            &["5", "8", "5"],
            &["6", "8", "6"],
        ];
        assert_eq!(seen, expected);
    }

    fn words(call: &Args) -> Vec<&str> {
        call.iter()
            .map(|word| std::str::from_utf8(word).unwrap())
            .collect()
    }

    fn call(words: &str, shared_keys: u32, shared_args: u32) -> (Args, CommandContext) {
        let mut args = Args::new();
        for word in words.split(' ') {
            args.add(word);
        }
        let script = PAIRS.context(Some(ScriptItems {
            count: 1,
            shared_keys,
            shared_args,
        }));
        let context = CommandContext {
            repeatable: false,
            script: Some(script),
        };
        (args, context)
    }

    #[test]
    fn what_is_shared_is_sent_once_and_a_joined_call_falls_apart_into_what_it_was_made_of() {
        let texts = [
            "EVALSHA h 3 s t a shared 1 x",
            "EVALSHA h 3 s t b shared 2 y",
            "EVALSHA h 3 s other c shared 3 z",
            "EVALSHA h 3 s other d different 4 z",
        ];
        let (mut calls, mut contexts) = texts.map(|text| call(text, 2, 1)).into_iter().unzip();
        join(&mut calls, &mut contexts);
        let joined: Vec<_> = calls.iter().map(words).collect();
        let expected = [
            "EVALSHA h 4 s t a b shared 1 x 2 y",
            "EVALSHA h 3 s other c shared 3 z",
            "EVALSHA h 3 s other d different 4 z",
        ];
        assert_eq!(
            joined,
            expected.map(|text| text.split(' ').collect::<Vec<_>>())
        );
        let layout = Layout::of(&calls[0], &contexts[0]).unwrap();
        for (item, text) in texts.iter().take(2).enumerate() {
            let single = layout.single(&calls[0], item);
            assert_eq!(words(&single), text.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_refusal_of_shared_keys_is_not_a_reason_to_run_the_items_again() {
        let refusal = |line: &str| Ok(Reply::Error(ServerError::new(line.to_owned())));
        for (shared_keys, line, again) in [
            (0, "NOPERM No permissions to access a key", 2),
            (1, "NOPERM No permissions to access a channel", 0),
            (
                1,
                "CROSSSLOT Keys in request don't hash to the same slot",
                2,
            ),
        ] {
            let (args, context) = call("EVALSHA h 3 a b c shared 1 2", shared_keys, 1);
            let results = [refusal(line)];
            let joined_calls = JoinedCalls::default();
            let contexts = [context.with_items(2)];
            let found = refused(&joined_calls, &[args], &contexts, &results);
            assert_eq!(found.len(), again, "{line}");
        }
    }

    #[tokio::test]
    async fn a_dropped_call_is_no_part_of_it() {
        let server = Server::default();
        let redis = server.client();
        let mut dropped = Box::pin(ask(&redis, &PAIRS, "2", 7));
        let first = ask(&redis, &PAIRS, "1", 7);
        assert!(futures_util::poll!(&mut dropped).is_pending());
        drop(dropped);
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(server.seen(), [["1", "7", "1"]]);
    }

    #[tokio::test]
    async fn keys_that_lie_apart_are_asked_for_one_by_one_from_then_on() {
        let server = Server {
            refusal: Some("CROSSSLOT Keys in request don't hash to the same slot"),
            ..Server::default()
        };
        let redis = server.client();
        let both = || async {
            let both = tokio::join!(ask(&redis, &PAIRS, "1", 7), ask(&redis, &PAIRS, "2", 7));
            assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 2));
            server.seen().len()
        };
        assert_eq!(both().await, 3);
        assert_eq!(both().await, 2);
    }

    #[tokio::test]
    async fn one_forbidden_key_is_no_reason_to_refuse_its_neighbours() {
        let server = Server {
            refusal: Some("NOPERM No permissions to access a key"),
            ..Server::default()
        };
        let redis = server.client();
        let both = tokio::join!(ask(&redis, &PAIRS, "1", 7), ask(&redis, &PAIRS, "2", 7));
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 2));
        assert_eq!(server.seen().len(), 3);
    }

    #[tokio::test]
    async fn what_may_have_run_is_not_asked_again() {
        let server = Server {
            refusal: Some("BUSY Script ran longer than 5000 ms and was stopped"),
            ..Server::default()
        };
        let redis = server.client();
        let both = tokio::join!(ask(&redis, &PAIRS, "1", 7), ask(&redis, &PAIRS, "2", 7));
        assert_eq!(both.0.unwrap_err().code(), Some("BUSY"));
        assert_eq!(both.1.unwrap_err().code(), Some("BUSY"));
        assert_eq!(server.seen().len(), 1);
    }

    #[tokio::test]
    async fn a_call_holds_a_bounded_number_of_items() {
        let server = Server::default();
        let redis = server.client();
        let keys: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        let asked = keys.iter().map(|key| ask(&redis, &PAIRS, key, 7));
        let replies = futures_util::future::join_all(asked).await;
        for (n, reply) in (0..).zip(replies) {
            assert_eq!(reply.unwrap(), n);
        }
        let calls: Vec<usize> = server.seen().iter().map(|call| call.len() / 2).collect();
        assert_eq!(calls, [128, 128, 44]);
    }
}
