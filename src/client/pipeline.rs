//! Commands that are sent together.
use std::{
    borrow::Cow,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    client::{Redis, Surface, batch::CallOptions, metrics::Metrics},
    protocol::{
        command::{Args, Command},
        command_table,
        error::{Error, Result},
        reply::{FromReply, Reply},
        response_meta::ResponseMeta,
    },
    transport::Mode,
};

/// Where the typed reply of one collected command will be; valid for its pipeline only.
#[derive(Debug)]
pub struct Handle<T> {
    owner: u64,
    index: usize,
    reply: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}

#[derive(Debug)]
struct Collected {
    client: Redis,
    id: u64,
    commands: Vec<Args>,
    options: CallOptions,
}

impl Collected {
    fn new(client: Redis) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            client,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            commands: Vec::new(),
            options: CallOptions::default(),
        }
    }

    fn push<T>(&mut self, command: Command<T>) -> Handle<T> {
        self.commands.push(command.args);
        Handle {
            owner: self.id,
            index: self.commands.len() - 1,
            reply: PhantomData,
        }
    }

    async fn exec(self, mode: Mode) -> Result<Replies> {
        let Self {
            client,
            id,
            commands,
            options,
        } = self;
        let names = commands.iter().map(command_table::name_of).collect();
        let metrics = client.metrics().clone();
        if commands.is_empty() {
            return Ok(Replies {
                owner: id,
                names,
                items: Vec::new(),
                meta: ResponseMeta::default(),
                metrics,
            });
        }
        let (meta, items) = client.core.submit_many(mode, commands, options).await?;
        Ok(Replies {
            owner: id,
            names,
            items: items.into_iter().map(Some).collect(),
            meta,
            metrics,
        })
    }
}

/// Commands sent together in order; others may run in between.
#[derive(Debug)]
#[must_use = "a pipeline does nothing until `exec`"]
pub struct Pipeline(Collected);

/// Commands run as one unit: nothing comes in between, and all run or none.
///
/// An error of one command while it runs does not undo the others.
#[derive(Debug)]
#[must_use = "a transaction does nothing until `exec`"]
pub struct Transaction(Collected);

macro_rules! collector {
    ($name:ident, $mode:expr) => {
        impl $name {
            pub(crate) fn new(client: Redis) -> Self {
                Self(Collected::new(client))
            }

            /// Number of collected commands.
            pub fn len(&self) -> usize {
                self.0.commands.len()
            }

            /// Whether nothing was collected.
            pub fn is_empty(&self) -> bool {
                self.0.commands.is_empty()
            }

            /// Total time for the call, all attempts included.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.0.options.timeout = Some(timeout);
                self
            }

            /// Promises that running all of it twice does no harm, so that it may be
            /// retried when a first attempt may have been executed.
            pub fn idempotent(mut self) -> Self {
                self.0.options.idempotent = true;
                self
            }

            /// Adds any command by name.
            pub fn add<T: FromReply>(&mut self, command: Command<T>) -> Handle<T> {
                self.0.push(command)
            }

            /// Sends everything; without commands nothing is sent.
            ///
            /// # Errors
            /// When the whole was not answered. The errors of single commands come from
            /// [`Replies::take`].
            pub async fn exec(self) -> Result<Replies> {
                self.0.exec($mode).await
            }
        }

        impl Surface for &mut $name {
            type Out<T: FromReply> = Handle<T>;

            fn submit<T: FromReply>(self, command: Command<T>) -> Handle<T> {
                self.0.push(command)
            }
        }
    };
}
collector!(Pipeline, Mode::Pipeline);
collector!(Transaction, Mode::Transaction);

/// The replies of a pipeline or transaction, one a command.
#[derive(Debug)]
pub struct Replies {
    owner: u64,
    names: Vec<Cow<'static, str>>,
    items: Vec<Option<Result<Reply>>>,
    meta: ResponseMeta,
    metrics: Metrics,
}

impl Replies {
    /// Takes one typed reply; each can be taken once.
    ///
    /// # Errors
    /// The error of this command alone, or a decode error. `InvalidInput` for a handle of
    /// another pipeline or a reply taken before.
    pub fn take<T: FromReply>(&mut self, handle: Handle<T>) -> Result<T> {
        if handle.owner != self.owner {
            return Err(Error::invalid_input("handle of another pipeline"));
        }
        let name = self.names.get(handle.index).map_or("", |n| n);
        let result = self.items.get_mut(handle.index).and_then(Option::take);
        let result = result.unwrap_or_else(|| Err(Error::invalid_input("reply taken before")));
        self.metrics.decode(name, self.meta, result)
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there was no command.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The replies not yet taken, in order.
    pub fn into_results(self) -> impl Iterator<Item = Result<Reply>> {
        let (meta, named) = (self.meta, self.items.into_iter().zip(self.names));
        named.filter_map(move |(item, name)| {
            let told = |e: Error| e.in_command(&name).with_meta(meta);
            Some(item?.and_then(Reply::from_reply).map_err(told))
        })
    }

    /// The first error among the replies not yet taken.
    pub fn first_error(&self) -> Option<Error> {
        self.items.iter().zip(&self.names).find_map(|(item, name)| {
            let error = match item {
                Some(Err(e)) => e.clone(),
                Some(Ok(Reply::Error(e))) => Error::from_server(e.clone()),
                _ => return None,
            };
            Some(error.in_command(name).with_meta(self.meta))
        })
    }
}
