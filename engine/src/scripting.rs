//! Scripts and libraries of a database.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use crate::error::Error;
use crate::lua::{self, Compiled, LoadedFunction, Vm};

/// The most scripts kept compiled.
const MAX_SCRIPTS: usize = 2_000;
/// The most bytes of scripts kept.
const MAX_SCRIPT_BYTES: usize = 16 << 20;
/// The most libraries.
const MAX_LIBRARIES: usize = 1_000;

/// The SHA-1 of a script's text.
pub(crate) type Sha = [u8; 20];

/// What a script declares about itself in its first line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScriptFlags {
    /// Whether it declares anything.
    pub(crate) declared: bool,
    pub(crate) no_writes: bool,
    pub(crate) allow_oom: bool,
    pub(crate) allow_key_locking: bool,
}

/// A script ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) compiled: Compiled,
    pub(crate) flags: ScriptFlags,
}

#[derive(Debug)]
struct Kept {
    script: Script,
    bytes: usize,
    /// Came by SCRIPT LOAD: goes last.
    loaded: bool,
    used: u64,
}

/// A library of functions.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) code: Bytes,
    pub(crate) functions: Vec<LoadedFunction>,
}

/// What happens to the libraries that are there when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// One of the same name is an error.
    Fail,
    /// One of the same name goes.
    Replace,
    /// All go.
    Flush,
}

/// Scripts and libraries of a database.
#[derive(Debug, Default)]
pub(crate) struct Scripting {
    vm: Option<Vm>,
    scripts: HashMap<Sha, Kept, foldhash::fast::RandomState>,
    script_bytes: usize,
    tick: u64,
    libraries: BTreeMap<String, Library>,
    /// Function name in lower case to library name.
    functions: HashMap<String, String, foldhash::fast::RandomState>,
}

impl Scripting {
    /// The interpreter, if it was made.
    pub(crate) fn vm(&self) -> Option<Vm> {
        self.vm.clone()
    }

    pub(crate) fn set_vm(&mut self, vm: Vm) {
        self.vm = Some(vm);
    }

    /// Forgets the interpreter and the scripts that were compiled for it; `false`: there is none.
    pub(crate) fn take_vm(&mut self) -> bool {
        let taken = self.vm.take().is_some();
        if taken {
            self.scripts.clear();
            self.script_bytes = 0;
        }
        taken
    }

    /// Makes the functions of all libraries anew.
    pub(crate) fn reload_libraries(&mut self, vm: &Vm) {
        let code = self.code_weight();
        for library in self.libraries.values_mut() {
            let end = library.code.iter().position(|byte| *byte == b'\n');
            let body = &library.code[end.unwrap_or(0)..];
            library.functions = vm.load_library(body, code).unwrap_or_default();
        }
    }

    /// The compiled script with this text; `loaded`: SCRIPT LOAD asks for it.
    pub(crate) fn find_text(&mut self, body: &[u8], loaded: bool) -> Option<(Sha, Script)> {
        let sha = lua::sha1(body);
        let script = self.find(&sha)?;
        if loaded && let Some(kept) = self.scripts.get_mut(&sha) {
            kept.loaded = true;
        }
        Some((sha, script))
    }

    /// Compiles a script and keeps it.
    pub(crate) fn compile(
        &mut self,
        vm: &Vm,
        body: &[u8],
        loaded: bool,
    ) -> Result<(Sha, Script), Error> {
        let sha = lua::sha1(body);
        let (flags, rest) = shebang(body)?;
        let script = Script {
            compiled: vm.compile(rest)?,
            flags,
        };
        self.keep(sha, script.clone(), body.len(), loaded);
        Ok((sha, script))
    }

    /// The script with this hash.
    pub(crate) fn find(&mut self, sha: &Sha) -> Option<Script> {
        self.tick += 1;
        let kept = self.scripts.get_mut(sha)?;
        kept.used = self.tick;
        Some(kept.script.clone())
    }

    /// Whether the script with this hash is known.
    pub(crate) fn has(&self, sha: &Sha) -> bool {
        self.scripts.contains_key(sha)
    }

    fn keep(&mut self, sha: Sha, script: Script, bytes: usize, loaded: bool) {
        self.script_bytes += bytes;
        self.tick += 1;
        self.scripts.insert(
            sha,
            Kept {
                script,
                bytes,
                loaded,
                used: self.tick,
            },
        );
        if self.scripts.len() > MAX_SCRIPTS || self.script_bytes > MAX_SCRIPT_BYTES {
            self.shrink();
        }
    }

    /// Roughly the bytes a script or library takes: its text and what it is compiled to.
    pub(crate) const fn cost(bytes: usize) -> usize {
        const FIXED: usize = 1024;
        const COMPILED: usize = 8;
        FIXED + bytes * (1 + COMPILED)
    }

    /// Roughly the bytes all scripts and libraries take, with what libraries keep.
    pub(crate) fn weight(&self) -> usize {
        self.code_weight() + self.vm.as_ref().map_or(0, Vm::kept)
    }

    /// Roughly the bytes of all scripts and libraries, compiled.
    pub(crate) fn code_weight(&self) -> usize {
        let libraries = self.libraries.values().map(|library| library.code.len());
        let scripts = Self::cost(self.script_bytes) + Self::cost(0) * self.scripts.len();
        libraries.map(Self::cost).sum::<usize>() + scripts - Self::cost(0)
    }

    /// Forgets a script unless `SCRIPT LOAD` stored it.
    pub(crate) fn forget(&mut self, sha: &Sha) {
        if self.scripts.get(sha).is_some_and(|kept| !kept.loaded) {
            let kept = self.scripts.remove(sha);
            self.script_bytes -= kept.map_or(0, |kept| kept.bytes);
        }
    }

    /// Forgets every script that did not come by SCRIPT LOAD.
    pub(crate) fn forget_evaluated(&mut self) {
        self.scripts.retain(|_, kept| kept.loaded);
        self.script_bytes = self.scripts.values().map(|kept| kept.bytes).sum();
    }

    /// Forgets a quarter of the scripts: those not used for long, loaded ones last.
    fn shrink(&mut self) {
        let mut order: Vec<(bool, u64, Sha)> = self
            .scripts
            .iter()
            .map(|(sha, kept)| (kept.loaded, kept.used, *sha))
            .collect();
        order.sort_unstable();
        let mut least = order.len() / 4;
        for (_, used, sha) in order {
            let enough = least == 0 && self.script_bytes <= MAX_SCRIPT_BYTES / 4 * 3;
            if enough || used == self.tick {
                break;
            }
            if let Some(kept) = self.scripts.remove(&sha) {
                self.script_bytes -= kept.bytes;
            }
            least = least.saturating_sub(1);
        }
    }

    /// Forgets every script.
    pub(crate) fn flush_scripts(&mut self) {
        self.scripts.clear();
        self.script_bytes = 0;
        if let Some(vm) = &self.vm {
            vm.collect(self.code_weight());
        }
    }

    /// How many scripts are known.
    pub(crate) fn script_count(&self) -> usize {
        self.scripts.len()
    }

    /// The libraries, by name.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Library> {
        self.libraries.values()
    }

    /// How many functions all libraries have.
    pub(crate) fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// The function with this name.
    pub(crate) fn function(&self, name: &str) -> Option<LoadedFunction> {
        let library = self
            .libraries
            .get(self.functions.get(&name.to_ascii_lowercase())?)?;
        library
            .functions
            .iter()
            .find(|function| function.name.eq_ignore_ascii_case(name))
            .cloned()
    }

    /// Fails if a library of this name may not be added.
    pub(crate) fn check_name(&self, name: &str, replace: bool) -> Result<(), Error> {
        let known = self.libraries.contains_key(name);
        if known && !replace {
            return Err(Error::new(format!("ERR Library '{name}' already exists")));
        }
        if !known && self.libraries.len() >= MAX_LIBRARIES {
            return Err(Error::fixed("ERR too many libraries"));
        }
        Ok(())
    }

    /// Adds a library, in place of one of the same name.
    pub(crate) fn add_library(&mut self, library: Library) -> Result<(), Error> {
        for function in &library.functions {
            if self
                .functions
                .get(&function.name.to_ascii_lowercase())
                .is_some_and(|owner| *owner != library.name)
            {
                return Err(Error::new(format!(
                    "ERR Function {} already exists",
                    function.name
                )));
            }
        }
        self.remove_library(&library.name);
        for function in &library.functions {
            self.functions
                .insert(function.name.to_ascii_lowercase(), library.name.clone());
        }
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    /// Adds several libraries, or none if one of them is in the way of another.
    pub(crate) fn restore(
        &mut self,
        libraries: Vec<Library>,
        conflict: Conflict,
    ) -> Result<(), Error> {
        let known = |name: &str| conflict != Conflict::Flush && self.libraries.contains_key(name);
        let mut names = HashSet::new();
        for library in &libraries {
            if !names.insert(&*library.name) || conflict == Conflict::Fail && known(&library.name) {
                let name = &library.name;
                return Err(Error::new(format!("ERR Library {name} already exists")));
            }
        }
        let kept = self.functions.iter();
        let kept = kept.filter(|(_, owner)| known(owner) && !names.contains(owner.as_str()));
        let mut functions: HashSet<String> = kept.map(|(name, _)| name.clone()).collect();
        for function in libraries.iter().flat_map(|library| &library.functions) {
            let name = &function.name;
            if !functions.insert(name.to_ascii_lowercase()) {
                return Err(Error::new(format!("ERR Function {name} already exists")));
            }
        }
        let kept = match conflict {
            Conflict::Flush => 0,
            _ => self.libraries.len(),
        };
        if kept + libraries.len() > MAX_LIBRARIES {
            return Err(Error::fixed("ERR too many libraries"));
        }
        if conflict == Conflict::Flush {
            self.flush_libraries();
        }
        for library in libraries {
            self.remove_library(&library.name);
            self.add_library(library)?;
        }
        Ok(())
    }

    /// Other code for a library, to test what cannot be run again.
    #[cfg(test)]
    pub(crate) fn replace_code(&mut self, name: &str, code: &'static str) {
        if let Some(library) = self.libraries.get_mut(name) {
            library.code = Bytes::from_static(code.as_bytes());
        }
    }

    /// Removes a library; `false`: there is none.
    pub(crate) fn remove_library(&mut self, name: &str) -> bool {
        let removed = self.libraries.remove(name).is_some();
        if removed {
            self.collect_kept();
            self.functions.retain(|_, owner| owner != name);
        }
        removed
    }

    /// Frees what libraries kept that are gone.
    pub(crate) fn collect_kept(&self) {
        if let Some(vm) = self.vm.as_ref().filter(|vm| vm.kept() > 0) {
            vm.collect(self.code_weight());
        }
    }

    /// Removes every library.
    pub(crate) fn flush_libraries(&mut self) {
        self.libraries.clear();
        self.functions.clear();
        if let Some(vm) = &self.vm {
            vm.collect(self.code_weight());
        }
    }
}

/// Splits `#!lua flags=…` off a script; the rest keeps its line numbers.
fn shebang(body: &[u8]) -> Result<(ScriptFlags, &[u8]), Error> {
    let mut flags = ScriptFlags::default();
    if !body.starts_with(b"#!") {
        return Ok((flags, body));
    }
    let end = body
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Error::fixed("ERR Invalid script shebang"))?;
    let line = String::from_utf8_lossy(&body[..end]);
    flags.declared = true;
    let mut parts = line.split_ascii_whitespace();
    let engine = parts.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(Error::new(format!(
            "ERR Unexpected engine in script shebang: {engine}"
        )));
    }
    for part in parts {
        let Some(list) = part.strip_prefix("flags=") else {
            return Err(Error::new(format!(
                "ERR Unknown lua shebang option: {part}"
            )));
        };
        for flag in list.split(',').filter(|_| !list.is_empty()) {
            match flag {
                "no-writes" => flags.no_writes = true,
                "allow-oom" => flags.allow_oom = true,
                "allow-key-locking" => flags.allow_key_locking = true,
                "allow-stale" | "no-cluster" | "allow-cross-slot-keys" => {}
                other => {
                    return Err(Error::new(format!(
                        "ERR Unexpected flag in script shebang: {other}"
                    )));
                }
            }
        }
    }
    Ok((flags, &body[end..]))
}
