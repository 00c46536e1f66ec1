//! The few WASI calls that a filter may import: output goes to the log, there are no arguments and no environment.

use wasmtime::{Caller, Linker};

use super::abi::{LogLevel, Status};
use super::guest::{Guest, Slice};
use super::state::NOW;
use super::state::{Host, LogLine};

const MODULE: &str = "wasi_snapshot_preview1";

/// WASI error numbers.
const SUCCESS: u32 = 0;
const BAD_FILE_DESCRIPTOR: u32 = 8;
const FAULT: u32 = 21;

fn answer(result: Result<(), Status>) -> u32 {
    if result.is_ok() { SUCCESS } else { FAULT }
}

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_write",
        |caller: Caller<'_, Host>, file: u32, list: u32, count: u32, written: u32| {
            fd_write(
                &mut Guest::new(caller, "fd_write"),
                file,
                list,
                count,
                written,
            )
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |caller: Caller<'_, Host>, data: u32, size: u32| {
            answer(random_get(
                &mut Guest::new(caller, "random_get"),
                data,
                size,
            ))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |caller: Caller<'_, Host>, _clock: u32, _precision: u64, result: u32| {
            answer(Guest::new(caller, "clock_time_get").write_u64(result, NOW))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proc_exit",
        |_: Caller<'_, Host>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg(format!(
                "the guest exited with code {code}"
            )))
        },
    )?;
    for (sizes, list) in [
        ("environ_sizes_get", "environ_get"),
        ("args_sizes_get", "args_get"),
    ] {
        linker.func_wrap(
            MODULE,
            sizes,
            move |caller: Caller<'_, Host>, count: u32, size: u32| {
                let mut guest = Guest::new(caller, sizes);
                answer(
                    guest
                        .write_u32(count, 0)
                        .and_then(|()| guest.write_u32(size, 0)),
                )
            },
        )?;
        linker.func_wrap(
            MODULE,
            list,
            move |caller: Caller<'_, Host>, _pointers: u32, _data: u32| {
                Guest::new(caller, list);
                SUCCESS
            },
        )?;
    }
    Ok(())
}

/// Standard output is logged as information, standard error as an error, one log line per call.
fn fd_write(guest: &mut Guest<'_>, file: u32, list: u32, count: u32, written: u32) -> u32 {
    let level = match file {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return BAD_FILE_DESCRIPTOR,
    };
    let Ok(bytes) = gather(guest, list, count) else {
        return FAULT;
    };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let message = String::from_utf8_lossy(&bytes)
        .trim_end_matches('\n')
        .to_owned();
    guest.host().logs.push(LogLine { level, message });
    answer(guest.write_u32(written, length))
}

fn gather(guest: &mut Guest<'_>, list: u32, count: u32) -> Result<Vec<u8>, Status> {
    let length = count.checked_mul(8).ok_or(Status::InvalidMemoryAccess)?;
    let list = guest.read(Slice {
        pointer: list,
        length,
    })?;
    let mut bytes = Vec::new();
    for [p0, p1, p2, p3, l0, l1, l2, l3] in list.as_chunks::<8>().0 {
        let pointer = u32::from_le_bytes([*p0, *p1, *p2, *p3]);
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        bytes.extend(guest.read(Slice { pointer, length })?);
    }
    Ok(bytes)
}

fn random_get(guest: &mut Guest<'_>, data: u32, size: u32) -> Result<(), Status> {
    // Reading first makes sure that the guest has room for the bytes before they are made.
    let mut bytes = guest.read(Slice {
        pointer: data,
        length: size,
    })?;
    for chunk in bytes.chunks_mut(8) {
        let random = guest.host().next_random().to_le_bytes();
        for (byte, random) in chunk.iter_mut().zip(random) {
            *byte = random;
        }
    }
    guest.write(data, &bytes)
}
