//! A fake of Vercel's host: the socket that a function reports to.

use serde_json::Value;
use std::{os::unix::fs::DirBuilderExt as _, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

/// The host's end of the socket.
pub(crate) struct FakeVercel {
    listener: UnixListener,
    directory: PathBuf,
    function: Option<BufReader<UnixStream>>,
}

impl FakeVercel {
    pub(crate) fn listen() -> Self {
        let name = format!("restis-ipc-{}-{}", std::process::id(), super::free_port());
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .unwrap();
        let listener = UnixListener::bind(directory.join("ipc")).unwrap();
        Self {
            listener,
            directory,
            function: None,
        }
    }

    pub(crate) fn path(&self) -> String {
        self.directory.join("ipc").to_str().unwrap().to_owned()
    }

    /// The next message of a kind; others, such as logs, are passed over.
    pub(crate) async fn message(&mut self, kind: &str) -> Value {
        let receive = async {
            if self.function.is_none() {
                let (stream, _) = self.listener.accept().await.unwrap();
                self.function = Some(BufReader::new(stream));
            }
            let function = self.function.as_mut().unwrap();
            loop {
                let mut bytes = Vec::new();
                assert!(
                    function.read_until(0, &mut bytes).await.unwrap() > 0,
                    "the function hung up"
                );
                bytes.pop();
                let message: Value = serde_json::from_slice(&bytes).unwrap();
                if message["type"] == kind {
                    return message;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), receive)
            .await
            .unwrap()
    }
}

impl Drop for FakeVercel {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
