//! Which commands of a pipeline have to wait for others on a cluster.

use std::collections::HashMap;

use redis::{Arg, Cmd};

use super::plan::After;

/// A command with its place in the pipeline.
pub(super) type Placed = (usize, Cmd, After);
/// Commands that run one after the other.
type Chain = Vec<Placed>;

/// Groups of chains: the chains of one group run at the same time, group after group.
///
/// The connections of a cluster keep no order between commands, not even between those for one key.
#[derive(Default)]
pub(super) struct Waves {
    done: Vec<Vec<Chain>>,
    /// The group that is being made.
    chains: Vec<Chain>,
    /// The chain of each key in it.
    of_key: HashMap<Vec<u8>, usize>,
}

impl Waves {
    pub(super) fn add(&mut self, at: usize, cmd: Cmd, after: After) {
        match key(&cmd) {
            Key::None => self.chains.push(vec![(at, cmd, after)]),
            Key::One(key) => {
                let next = self.chains.len();
                let chain = *self.of_key.entry(key).or_insert(next);
                if chain == next {
                    self.chains.push(Vec::new());
                }
                self.chains[chain].push((at, cmd, after));
            }
            // It may concern any command before and after.
            Key::Several => {
                self.end();
                self.done.push(vec![vec![(at, cmd, after)]]);
            }
        }
    }

    fn end(&mut self) {
        self.of_key.clear();
        if !self.chains.is_empty() {
            self.done.push(std::mem::take(&mut self.chains));
        }
    }

    pub(super) fn into_groups(mut self) -> Vec<Vec<Chain>> {
        self.end();
        self.done
    }
}

enum Key {
    None,
    One(Vec<u8>),
    /// Also when they are not known, and for commands about all keys.
    Several,
}

fn key(cmd: &Cmd) -> Key {
    let args: Vec<&[u8]> = cmd
        .args_iter()
        .map(|arg| match arg {
            Arg::Simple(bytes) => bytes,
            _ => &[],
        })
        .collect();
    let Some(positions) = restis_engine::key_positions(&args) else {
        return Key::Several;
    };
    match positions[..] {
        [] if is_about_no_key(args.first().copied().unwrap_or_default()) => Key::None,
        [only] => Key::One(args.get(only).copied().unwrap_or_default().to_vec()),
        _ => Key::Several,
    }
}

/// Scripts without keys, `FLUSHALL`, `DBSIZE` and the like may concern any.
fn is_about_no_key(name: &[u8]) -> bool {
    let names: [&[u8]; 4] = [b"PING", b"ECHO", b"TIME", b"INFO"];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(commands: &[&str]) -> Vec<Vec<Vec<usize>>> {
        let mut waves = Waves::default();
        for (at, line) in commands.iter().enumerate() {
            let mut cmd = Cmd::new();
            line.split(' ').for_each(|word| {
                cmd.arg(word);
            });
            waves.add(at, cmd, After::Keep);
        }
        let places = |chain: Chain| chain.into_iter().map(|(at, ..)| at).collect();
        let chains = |chains: Vec<Chain>| chains.into_iter().map(places).collect();
        waves.into_groups().into_iter().map(chains).collect()
    }

    #[test]
    fn commands_for_one_key_stay_in_order() {
        let commands = [
            "DEL a",
            "DEL b",
            "XADD a 1-1 f v",
            "XGROUP CREATE a g 0",
            "PING",
            "EVAL x 1 b",
        ];
        let expected = vec![vec![vec![0, 2, 3], vec![1, 5], vec![4]]];
        assert_eq!(groups(&commands), expected);
    }

    #[test]
    fn what_concerns_several_keys_waits_for_all_before() {
        let commands = ["SET a 1", "MGET a b", "SET b 2", "FLUSHALL", "GET b"];
        let alone = |at: usize| vec![vec![at]];
        assert_eq!(groups(&commands), (0..5).map(alone).collect::<Vec<_>>());
        assert_eq!(groups(&["NOSUCH x", "GET x"]).len(), 2);
    }
}
