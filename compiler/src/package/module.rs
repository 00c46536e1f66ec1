//! Putting a program into the filter's module.
//!
//! The filter asks its module for a program by two exported functions, one for the size and one for a copy. As built they
//! say that there is none; here they are replaced, and the program becomes a passive data segment, which takes no place in
//! the filter's memory until it is copied.

use meshgate_engine::Program;
use walrus::{
    DataKind, ExportItem, FunctionBuilder, FunctionId, FunctionKind, LocalId, Module, ModuleConfig,
    ValType,
};

/// The function that returns the size of the packaged program in bytes, 0 if there is none.
const SIZE: &str = "meshgate_packaged_size";

/// The function that copies the packaged program to an address.
const COPY: &str = "meshgate_packaged_copy";

/// Puts a program into a filter. One that was packaged before is replaced.
///
/// # Errors
/// Says why the program or the filter is not fit for it.
pub fn add_program(filter: &[u8], program: &[u8]) -> Result<Vec<u8>, String> {
    Program::new(program.to_vec()).map_err(|error| format!("the program is refused: {error}"))?;
    let size = i32::try_from(program.len()).map_err(|_| "the program is too large".to_owned())?;
    let mut module = parse(filter)?;
    let memory = module
        .get_memory_id()
        .map_err(|error| format!("the filter is not fit for a program: {error:#}"))?;
    let (size_function, copy_function) = (exported(&module, SIZE)?, exported(&module, COPY)?);
    let earlier: Vec<_> = module
        .data
        .iter()
        .filter(|data| matches!(data.kind, DataKind::Passive))
        .map(walrus::Data::id)
        .collect();
    let data = module.data.add(DataKind::Passive, program.to_vec());

    let mut builder = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
    builder.func_body().i32_const(size);
    replace(&mut module, size_function, builder, Vec::new());

    let destination = module.locals.add(ValType::I32);
    let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[]);
    builder
        .func_body()
        .local_get(destination)
        .i32_const(0)
        .i32_const(size)
        .memory_init(memory, data);
    replace(&mut module, copy_function, builder, vec![destination]);
    // The filter has no passive segments of its own, and nothing refers to an earlier program any more.
    for earlier in earlier {
        module.data.delete(earlier);
    }
    Ok(module.emit_wasm())
}

/// The program that was packaged with a module, if any.
///
/// # Errors
/// Says why the module is no filter.
pub fn packaged(module: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let module = parse(module)?;
    exported(&module, SIZE)?;
    let mut segments = module.data.iter();
    let program = segments.find(|data| matches!(data.kind, DataKind::Passive));
    Ok(program.map(|data| data.value.clone()))
}

fn parse(module: &[u8]) -> Result<Module, String> {
    ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(module)
        .map_err(|error| format!("the filter is not a wasm module: {error:#}"))
}

fn exported(module: &Module, name: &str) -> Result<FunctionId, String> {
    match module.exports.iter().find(|export| export.name == name) {
        Some(export) => match export.item {
            ExportItem::Function(function) => Ok(function),
            _ => Err(format!("`{name}` of the filter is not a function")),
        },
        None => Err(format!(
            "the module exports no `{name}`: it is not a meshgate filter, or one from before programs could be packaged"
        )),
    }
}

/// Gives a function another body, wherever it is called.
fn replace(
    module: &mut Module,
    function: FunctionId,
    builder: FunctionBuilder,
    args: Vec<LocalId>,
) {
    module.funcs.get_mut(function).kind = FunctionKind::Local(builder.local_func(args));
}
