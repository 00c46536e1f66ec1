//! The last step of linking the filter: which callbacks the module exports.
//!
//! A host calls every callback that a module exports, for each stream, and each call costs. The SDK exports all there are,
//! and rustc keeps whatever a dependency exports; so the rest is taken away here, with the functions that only it needed.
//!
//! The filter asks its own module for a program that was packaged with it. It imports these functions, so that the compiler
//! does not know what they do; here they become functions that say there is none, exported for `meshgate package` to replace.

use walrus::{InstrSeqBuilder, Module, ModuleConfig, passes};

/// What the filter begins the names of its own callbacks with, in place of [`ABI_PREFIX`]. One of them takes the place
/// of the SDK's.
const OWN_PREFIX: &str = "meshgate_on_";
const ABI_PREFIX: &str = "proxy_on_";

/// The functions that tell of a packaged program: its size, and a copy of it.
const PACKAGED: [&str; 2] = ["meshgate_packaged_size", "meshgate_packaged_copy"];

/// What a finished module exports: its memory, the marker of the ABI, how to begin and how to get memory, what
/// `meshgate package` replaces, and the callbacks that the filter has a use for.
const EXPORTS: [&str; 17] = [
    "memory",
    "proxy_abi_version_0_2_1",
    "_initialize",
    "malloc",
    PACKAGED[0],
    PACKAGED[1],
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_http_call_response",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];

/// Finishes a module as the linker writes it.
pub(crate) fn finish(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(module)
        .map_err(|error| format!("the linked module does not parse: {error:#}"))?;
    put_own_callbacks_in_place(&mut module)?;
    say_that_nothing_is_packaged(&mut module)?;
    keep_exports(&mut module)?;
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn put_own_callbacks_in_place(module: &mut Module) -> Result<(), String> {
    let own: Vec<_> = module
        .exports
        .iter()
        .filter_map(|export| {
            Some((
                export.id(),
                export.name.strip_prefix(OWN_PREFIX)?.to_owned(),
            ))
        })
        .collect();
    if own.is_empty() {
        return Err(format!("the linked module exports no `{OWN_PREFIX}…`"));
    }
    for (id, callback) in own {
        let name = format!("{ABI_PREFIX}{callback}");
        module.exports.remove(&name).map_err(|_| {
            format!("the linked module exports no `{name}` for `{OWN_PREFIX}{callback}` to replace")
        })?;
        module.exports.get_mut(id).name = name;
    }
    Ok(())
}

fn say_that_nothing_is_packaged(module: &mut Module) -> Result<(), String> {
    let bodies: [fn(&mut InstrSeqBuilder); 2] = [
        |size| {
            size.i32_const(0);
        },
        |_copy| {},
    ];
    for (name, body) in PACKAGED.into_iter().zip(bodies) {
        let function = module
            .imports
            .get_func("meshgate", name)
            .and_then(|function| module.replace_imported_func(function, |(code, _)| body(code)))
            .map_err(|error| format!("the linked module imports no `{name}`: {error:#}"))?;
        module.exports.add(name, function);
    }
    Ok(())
}

fn keep_exports(module: &mut Module) -> Result<(), String> {
    let exported = |name: &&str| module.exports.iter().any(|export| export.name == *name);
    if let Some(missing) = EXPORTS.iter().find(|name| !exported(name)) {
        return Err(format!("the linked module exports no `{missing}`"));
    }
    let others: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !EXPORTS.contains(&export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for id in others {
        module.exports.delete(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with everything a finished one has, of the SDK's making, and `more`.
    fn linked(more: &str) -> Vec<u8> {
        let is_sdks = |name: &&&str| !PACKAGED.contains(*name);
        let sdk: String = EXPORTS[1..]
            .iter()
            .filter(is_sdks)
            .map(|name| format!("(func (export {name:?}) (result i32) (i32.const 1))"))
            .collect();
        let text = format!(
            r#"(module
                (import "meshgate" "meshgate_packaged_size" (func (result i32)))
                (import "meshgate" "meshgate_packaged_copy" (func (param i32)))
                (import "env" "used" (func $used (result i32)))
                (import "env" "unused" (func $unused (result i32)))
                (memory (export "memory") 1)
                (global (export "__heap_base") i32 (i32.const 0))
                (func (export "proxy_on_log") (drop (call $unused)))
                {sdk} {more})"#
        );
        wat::parse_str(text).expect("the module parses")
    }

    #[test]
    fn own_callbacks_take_the_place_of_the_sdks_and_the_rest_goes() {
        let own = r#"(func (export "meshgate_on_delete") (result i32) (call $used))"#;
        let finished = finish(&linked(own)).expect("it is finished");
        let module = Module::from_buffer(&finished).expect("it parses");
        let mut exports: Vec<_> = module
            .exports
            .iter()
            .map(|export| export.name.as_str())
            .collect();
        exports.sort_unstable();
        let mut expected = EXPORTS;
        expected.sort_unstable();
        assert_eq!(exports, expected);
        // What the SDK's callbacks did would need no import.
        let imports: Vec<_> = module
            .imports
            .iter()
            .map(|import| import.name.as_str())
            .collect();
        assert_eq!(imports, ["used"]);
    }

    #[test]
    fn modules_of_another_shape_are_refused() {
        let unknown = r#"(func (export "meshgate_on_delate"))"#;
        for (module, reason) in [
            (linked(""), "exports no `meshgate_on_…`"),
            (linked(unknown), "exports no `proxy_on_delate`"),
            (b"\0asm".to_vec(), "does not parse"),
            (
                wat::parse_str(r#"(module (func (export "proxy_on_tick")) (func (export "meshgate_on_tick")))"#)
                    .expect("the module parses"),
                "imports no `meshgate_packaged_size`",
            ),
        ] {
            let error = finish(&module).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
