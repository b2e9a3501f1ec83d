//! Metrics for a program around the server, such as one that sends them elsewhere.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::families::Family;
use super::scrape;
use crate::rest::Shared;

type Asked = oneshot::Sender<Vec<Family>>;

/// Asks a running server for its metrics; clones ask the same one.
#[derive(Clone, Debug)]
pub struct MetricsReader(mpsc::Sender<Asked>);

impl MetricsReader {
    /// The metrics of this moment, as `/metrics` has them; none once the server stops.
    pub async fn read(&self) -> Vec<Family> {
        let (asked, told) = oneshot::channel();
        match self.0.send(asked).await {
            Ok(()) => told.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

/// A reader, and what answers it on a thread of the server: connections to a Redis live there.
pub(crate) fn reader(
    shared: Arc<Shared>,
) -> (MetricsReader, impl Future<Output = ()> + Send + 'static) {
    let (sender, mut receiver) = mpsc::channel::<Asked>(1);
    let answers = async move {
        while let Some(asked) = receiver.recv().await {
            // Who asked may have left.
            let _ = asked.send(scrape(&shared).await.into_vec());
        }
    };
    (MetricsReader(sender), answers)
}
