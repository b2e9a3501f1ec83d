//! Scripts whose keys and arguments have names.

/// Declares a script: its file, its keys and its arguments, each by name and once.
///
/// Makes a struct with a field for each of them, which `call` turns into a
/// [`ScriptCall`](crate::script::ScriptCall); in the script they are local variables of the same
/// names. `rest` is there the position of the first argument that has no name.
macro_rules! script_call {
    (
        $(#[$doc:meta])*
        $name:ident<$life:lifetime> = $text:literal $(.$flag:ident())?
        keys { $($key:ident),+ $(,)? }
        args { $($arg:ident: $type:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        struct $name<$life> {
            $($key: &$life str,)+
            $($arg: $type,)*
        }

        impl $name<'_> {
            fn call(self) -> $crate::script::ScriptCall<'static> {
                static SCRIPT: $crate::Script = $crate::Script::new(concat!(
                    "local _", $(", ", stringify!($key),)+ " = 0, unpack(KEYS)\n",
                    "local _", $(", ", stringify!($arg),)* " = 0, unpack(ARGV)\n",
                    "local rest = 1 + #{", $("'", stringify!($arg), "', ",)* "}\n",
                    include_str!($text)
                ))$(.$flag())?;
                SCRIPT.call()$(.key(self.$key))+$(.arg(self.$arg))*
            }
        }
    };
}
