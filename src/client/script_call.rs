//! Scripts whose keys and arguments have names.

/// Declares a script: its file, after those that it builds on, its keys and its arguments, each by
/// name and once.
///
/// Makes a struct with a field for each of them, which `call` turns into a
/// [`ScriptCall`](crate::script::ScriptCall); in the script they are local variables of the same
/// names. Keys and arguments that have no name are added to the call; in the script `rest_keys` and
/// `rest` are the positions of the first ones.
macro_rules! script_call {
    (
        $(#[$doc:meta])*
        $name:ident<$life:lifetime> = $($text:literal)+ $(.$flag:ident())?
        keys { $($key:ident),* $(,)? }
        args { $($arg:ident: $type:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        struct $name<$life> {
            $($key: &$life str,)*
            $($arg: $type,)*
        }

        impl $name<'_> {
            fn call(self) -> $crate::script::ScriptCall<'static> {
                static SCRIPT: $crate::Script = $crate::Script::new(concat!(
                    "local rest_keys, rest = 1 + #{", $("'", stringify!($key), "', ",)* "}, ",
                    "1 + #{", $("'", stringify!($arg), "', ",)* "}\n",
                    "local _", $(", ", stringify!($key),)* " = 0, unpack(KEYS, 1, rest_keys - 1)\n",
                    "local _", $(", ", stringify!($arg),)* " = 0, unpack(ARGV, 1, rest - 1)\n",
                    $(include_str!($text)),+
                ))$(.$flag())?;
                SCRIPT.call()$(.key(self.$key))*$(.arg(self.$arg))*
            }
        }
    };
}
