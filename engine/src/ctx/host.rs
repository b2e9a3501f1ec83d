//! How scripts run commands: the database moves into the interpreter's host and back.

use std::any::Any;
use std::mem;
use std::sync::Arc;

use super::{Ctx, Script, Side, admit};
use crate::acl::Caller;
use crate::command::{Args, Command};
use crate::db::Db;
use crate::error::Error;
use crate::hub::Hub;
use crate::lua::{Declared, Host, Lender, Mode, Vm};
use crate::reply::Reply;
use crate::scripting::{self, Sha};

/// What a script runs its commands on: the real database while it runs, else an empty one.
#[derive(Debug)]
struct ScriptHost {
    db: Db,
    side: Side,
    caller: Caller,
}

impl Host for ScriptHost {
    fn call(&mut self, args: Args<'_>, mode: &mut Mode) -> Reply {
        let script = Script {
            read_only: mode.read_only,
        };
        let spec = match admit(&self.side, &self.caller, Some(script), args) {
            Ok(spec) => spec,
            Err(error) => return Reply::Error(error),
        };
        if let Some(declared) = &mut mode.declared
            && let Some(error) = undeclared(declared, &spec.command, args)
        {
            return Reply::Error(error);
        }
        let mut ctx = Ctx {
            db: &mut self.db,
            side: &mut self.side,
            caller: &self.caller,
            script: Some(script),
        };
        ctx.run(spec, args)
    }

    fn may(&mut self, args: Args<'_>) -> Result<bool, Error> {
        let Side {
            acl, budget, table, ..
        } = &self.side;
        let spec = args
            .first()
            .and_then(|name| table.find(name))
            .ok_or(Error::fixed(
                "ERR Invalid command passed to redis.acl_check_cmd()",
            ))?;
        Ok(acl.check(budget, &self.caller, &spec.command, args).is_ok())
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The refusal of a command that names a key the script did not declare.
fn undeclared(declared: &mut Declared, command: &Command, args: Args<'_>) -> Option<Error> {
    let mut missing = None;
    command.keys.each(args, |at| {
        if missing.is_none() && !declared.has(args[at]) {
            missing = Some(args[at]);
        }
    });
    missing.map(|key| {
        Error::new(format!(
            "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: {}",
            String::from_utf8_lossy(key)
        ))
    })
}

impl Lender for Ctx<'_> {
    fn exchange(&mut self, host: &mut dyn Host) {
        // Every interpreter of a `Side` is made with this host.
        if let Some(host) = host.as_any().downcast_mut::<ScriptHost>() {
            mem::swap(&mut host.db, self.db);
            mem::swap(&mut host.side, self.side);
            host.caller.clone_from(self.caller);
        }
    }

    fn used(&self) -> usize {
        Ctx::used(self)
    }

    fn code_weight(&self) -> usize {
        self.side.scripting.code_weight()
    }
}

impl Side {
    /// The interpreter, made with the first use.
    pub(crate) fn vm(&mut self) -> Result<Vm, Error> {
        if let Some(vm) = self.scripting.vm() {
            return Ok(vm);
        }
        let host = ScriptHost {
            db: Db::new(Arc::new(Hub::default())),
            side: Self::new(self.options.clone(), Arc::clone(&self.hub), self.table),
            caller: Caller::default(),
        };
        let vm = Vm::new(Box::new(host), &self.budget, self.options.memory_limit)?;
        self.scripting.set_vm(vm.clone());
        Ok(vm)
    }

    /// Makes the interpreter anew, and the functions of all libraries in it. A library that
    /// cannot be run now is run when it is first needed, as after loading.
    pub(crate) fn renew_interpreter(&mut self) -> Result<(), Error> {
        if self.scripting.take_vm() {
            let vm = self.vm()?;
            self.scripting.reload_libraries(&vm);
        }
        Ok(())
    }

    /// Compiles a script, or finds it compiled.
    pub(crate) fn script(
        &mut self,
        body: &[u8],
        loaded: bool,
    ) -> Result<(Sha, scripting::Script), Error> {
        if let Some(found) = self.scripting.find_text(body, loaded) {
            return Ok(found);
        }
        let vm = self.vm()?;
        self.scripting.compile(&vm, body, loaded)
    }
}
