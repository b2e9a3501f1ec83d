//! JSON documents through commands.

mod shell;

use shell::Shell;

#[test]
fn documents_are_set_at_the_root_and_changed_by_path() {
    Shell::new().script(
        r#"
        JSON.GET d => nil
        JSON.SET d $.a 1 => -ERR new objects must be created at the root
        JSON.SET d $ '{"a":1}' XX => nil
        JSON.SET d $ '{"int":1}' => +OK
        JSON.SET d $ '{"str":"x"}' NX => nil
        JSON.SET d $.int 2 NX => nil
        JSON.SET d $.new 2 XX => nil
        JSON.SET d $.new 2 nx => +OK
        JSON.SET d $.none.str 2 => -ERR Path '$.none.str' does not exist
        JSON.SET d $.int '{"a":1' => -ERR EOF while parsing an object at line 1 column 6
        JSON.SET d $ text => -ERR expected ident at line 1 column 2
        JSON.SET d $.a 1 NX XX => -ERR syntax error
        JSON.SET d '$.a[' 1 => -ERR invalid JSONPath: '$.a['
        JSON.SET d $..x 1 => -ERR wrong static path
        JSON.GET d => {"int":1,"new":2}
        JSON.GET d $ => [{"int":1,"new":2}]
        JSON.SET d . '[1,2]' => +OK
        JSON.SET d $[5] 1 => -ERR array index out of range
        JSON.SET d [0] 7 => +OK
        JSON.GET d . => [7,2]
        SET s x
        JSON.SET s $ 1 => -WRONGTYPE Operation against a key holding the wrong kind of value
        JSON.GET s => -WRONGTYPE Operation against a key holding the wrong kind of value
        TYPE d => +ReJSON-RL
        EXPIRE d 100
        JSON.SET d $ 3
        TTL d => :100
    "#,
    );
}

#[test]
fn many_matches_come_deepest_first() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"a":2,"b":3,"nested":{"a":4,"b":null}}'
        JSON.GET d $..b => [null,3]
        JSON.GET d $..a $..b => {"$..a":[4,2],"$..b":[null,3]}
        JSON.SET e $ '{"a":[3],"nested":{"a":{"b":2,"c":1}}}'
        JSON.OBJLEN e $..a => [:2, nil]
        JSON.OBJKEYS e $..a => [[b, c], nil]
        JSON.TYPE e $..a => [object, array]
        JSON.MGET d e none $..a => [[4,2], [{"b":2,"c":1},[3]], nil]
        SET s x
        JSON.MGET s d .a => [nil, 2]
        JSON.NUMINCRBY d $..a 1 => [5,3]
    "#,
    );
}

#[test]
fn getting_formats_and_selects() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"a":[1,{"b":"é\n"}],"c":{},"f":1.0,"big":18446744073709551615}'
        JSON.GET d INDENT -- NEWLINE | SPACE _ => {|--"a":_[|----1,|----{|------"b":_"\xc3\xa9\\n"|----}|--],|--"c":_{},|--"f":_1.0,|--"big":_18446744073709551615|}
        JSON.GET d INDENT - $.c $.f => {-"$.c":[--{}-],-"$.f":[--1.0-]}
        JSON.GET d .f a[0] => {".f":1.0,"a[0]":1}
        JSON.GET d .f $.f => {".f":[1.0],"$.f":[1.0]}
        JSON.GET d .x => -ERR Path '$.x' does not exist
        JSON.GET d $.x => []
        JSON.GET d .f .x => -ERR Path '$.x' does not exist
        JSON.GET d '$.a[?(@.b)]' => [{"b":"\xc3\xa9\\n"}]
        JSON.TYPE d $.* => [array, object, number, integer]
        JSON.TYPE d .x => nil
        JSON.TYPE d => object
        JSON.TYPE none $ => nil
    "#,
    );
}

#[test]
fn deleting_and_clearing_count_what_changed() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"a":1,"nested":{"a":2,"b":3}}'
        JSON.DEL d $..a => :2
        JSON.GET d $ => [{"nested":{"b":3}}]
        JSON.FORGET d $.x => :0
        JSON.FORGET d => :1
        EXISTS d => :0
        JSON.DEL d => :0
        JSON.CLEAR d => -ERR could not perform this operation on a key that doesn't exist
        JSON.SET d $ '{"obj":{"a":1},"arr":[1],"str":"foo","bool":true,"int":42,"float":3.14,"e":{},"z":0}'
        JSON.CLEAR d $.* => :4
        JSON.GET d => {"obj":{},"arr":[],"str":"foo","bool":true,"int":0,"float":0,"e":{},"z":0}
        JSON.CLEAR d => :1
        JSON.GET d => {}
    "#,
    );
}

#[test]
fn merging_and_setting_many_at_once() {
    Shell::new().script(
        r#"
        JSON.MERGE m $.a 1 => -ERR new objects must be created at the root
        JSON.MERGE m $ '{"a":2}' => +OK
        JSON.MERGE m $.b 8 => +OK
        JSON.MERGE m $ '{"a":null,"c":{"d":[1]}}' => +OK
        JSON.GET m => {"b":8,"c":{"d":[1]}}
        JSON.MERGE m $..d '[10,12]' => +OK
        JSON.MERGE m $.c.d null => +OK
        JSON.GET m => {"b":8,"c":{}}
        JSON.MSET a $ 1 b $ '{"x":1}' b $.y 2 => +OK
        JSON.MGET a b $ => [[1], [{"x":1,"y":2}]]
        JSON.MSET a $ 5 nokey $.x 1 => -ERR new objects must be created at the root
        JSON.MSET a $ 5 b $.q.r 1 => -ERR Path '$.q.r' does not exist
        JSON.MSET a $ 5 b => -ERR wrong number of arguments for 'json.mset' command
        JSON.GET a => 1
    "#,
    );
}

#[test]
fn numbers_stay_integers_while_they_can() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"i":1,"f":1.5,"s":"x","max":9223372036854775807,"o":{"i":2}}'
        JSON.NUMINCRBY d $.i 2 => [3]
        JSON.NUMINCRBY d .i 2 => 5
        JSON.NUMINCRBY d $.i 0.5 => [5.5]
        JSON.NUMMULTBY d $.f 2 => [3.0]
        JSON.NUMINCRBY d $.max 1 => [9.223372036854776e18]
        JSON.NUMINCRBY d $.* 1 => [6.5,4.0,null,9.223372036854776e18,null]
        JSON.NUMINCRBY d $.x 1 => []
        JSON.NUMINCRBY d .x 1 => -ERR Path '$.x' does not exist
        JSON.NUMINCRBY d .s 1 => -WRONGTYPE wrong type of path value - expected a number but found string
        JSON.NUMINCRBY d .i '"x"' => -WRONGTYPE wrong type of path value - expected a number but found string
        JSON.NUMMULTBY d $.f 1e308 => -ERR result is not a number
        JSON.NUMINCRBY none $ 1 => -ERR could not perform this operation on a key that doesn't exist
    "#,
    );
}

#[test]
fn strings_booleans_and_objects() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"a":"foo","n":{"a":"hello"},"m":{"a":31},"t":true}'
        JSON.STRAPPEND d $..a '"baz"' => [:8, nil, :6]
        JSON.STRAPPEND d .a '"é"' => :8
        JSON.STRLEN d $..a => [:8, nil, :8]
        JSON.STRLEN d .a => :8
        JSON.STRLEN d .m => -WRONGTYPE wrong type of path value - expected string but found object
        JSON.STRLEN d .x => -ERR Path '$.x' does not exist
        JSON.STRLEN none $ => nil
        JSON.STRAPPEND d .m '"x"' => -ERR Path '$.m' does not exist or not a string
        JSON.STRAPPEND d $.a 1 => -WRONGTYPE wrong type of path value - expected string but found integer
        JSON.TOGGLE d $.t => [:0]
        JSON.TOGGLE d .t => true
        JSON.TOGGLE d $.a => [nil]
        JSON.TOGGLE d .a => -ERR Path '$.a' does not exist or not a bool
        JSON.OBJLEN d => :4
        JSON.OBJLEN d .x => nil
        JSON.OBJLEN d .a => -WRONGTYPE wrong type of path value - expected object but found string
        JSON.OBJKEYS d .n => [a]
        JSON.OBJKEYS d $.x => []
        JSON.OBJKEYS none => nil
        JSON.SET s $ '"x"'
        JSON.STRAPPEND s '"yz"' => :3
        JSON.GET s => "xyz"
    "#,
    );
}

#[test]
fn arrays_grow_shrink_and_are_searched() {
    Shell::new().script(
        r#"
        JSON.SET d $ '{"i":1,"a":[],"o":{"a":[1]}}'
        JSON.ARRAPPEND d $..a 9 '"x"' => [:3, :2]
        JSON.ARRAPPEND d $.i 9 => [nil]
        JSON.ARRAPPEND d .i 9 => -ERR Path '$.i' does not exist or not an array
        JSON.ARRAPPEND none $ 9 => -ERR could not perform this operation on a key that doesn't exist
        JSON.GET d => {"i":1,"a":[9,"x"],"o":{"a":[1,9,"x"]}}
        JSON.ARRINSERT d $..a 3 0 => -ERR index out of bounds
        JSON.ARRINSERT d $..a -1 0 => [:4, :3]
        JSON.ARRINSERT d .a 0 '[1]' '{"k":1.0}' => :5
        JSON.GET d .a => [[1],{"k":1.0},9,0,"x"]
        JSON.ARRINDEX d $.a '{"k":1}' => [:1]
        JSON.ARRINDEX d .a 0 => :3
        JSON.ARRINDEX d $.a 0 0 3 => [:-1]
        JSON.ARRINDEX d $.a 0 -2 => [:3]
        JSON.ARRINDEX d $.i 0 => [nil]
        JSON.ARRINDEX d .i 0 => -WRONGTYPE wrong type of path value - expected array but found integer
        JSON.ARRLEN d $..a => [:4, :5]
        JSON.ARRLEN d .a => :5
        JSON.ARRLEN none => nil
        JSON.ARRLEN none $ => -ERR could not perform this operation on a key that doesn't exist
        JSON.ARRPOP d $.a => ["x"]
        JSON.ARRPOP d .a -99 => [1]
        JSON.ARRPOP d $.a 99 => [0]
        JSON.ARRPOP d $.i => [nil]
        JSON.ARRTRIM d $..a 1 2 => [:2, :1]
        JSON.ARRTRIM d $.a 5 9 => [:0]
        JSON.ARRPOP d $.a => [nil]
        JSON.ARRPOP d .a => nil
        JSON.ARRTRIM d $.o.a -1 99 => [:1]
        JSON.ARRTRIM d $.o.a 1 0 => [:0]
        JSON.GET d => {"i":1,"a":[],"o":{"a":[]}}
    "#,
    );
}

#[test]
fn documents_become_replies() {
    let shell = Shell::new();
    shell.script(
        r#"
        JSON.SET d $ '{"o":{"a":[1,2.5,null]},"b":true,"s":"x"}'
        JSON.RESP d => [+{, o, [+{, a, [+[, :1, 2.5, nil]], b, +true, s, x]
        JSON.RESP d $.o => [[+{, a, [+[, :1, 2.5, nil]]]
        JSON.RESP none => nil
        JSON.DEBUG MEMORY none => :0
        JSON.DEBUG MEMORY none $ => []
        JSON.DEBUG FOO d => -ERR unknown subcommand 'FOO'. Try JSON.DEBUG HELP.
    "#,
    );
    assert!(shell.run("JSON.DEBUG MEMORY d").starts_with(':'));
    assert!(shell.run("JSON.DEBUG MEMORY d $.s").starts_with("[:"));
    assert!(shell.run("MEMORY USAGE d").starts_with(':'));
}

#[test]
fn nesting_cannot_be_driven_beyond_its_bound() {
    let shell = Shell::new();
    shell.script("JSON.SET d $ '[]'");
    let path = |depth: usize| format!("${}", "[0]".repeat(depth));
    let mut depth = 0;
    while shell.run(&format!("JSON.ARRAPPEND d {} []", path(depth))) == "[:1]" {
        depth += 1;
    }
    assert_eq!(depth, 127);
    shell.script(&format!(
        "JSON.ARRAPPEND d {0} [] => -ERR the document would be nested too deeply
         JSON.SET d {0} [1] => -ERR the document would be nested too deeply
         JSON.SET d {0} 1 => +OK",
        path(127)
    ));
}
