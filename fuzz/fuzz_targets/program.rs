#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use meshgate_engine::write::{Parts, parts, seal};
use meshgate_host_tests::fuzz;

fuzz_target!(|data: &[u8]| fuzz::program(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_part(data, size, max_size, seed).unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

/// Mutates one part of the input and puts the envelope together again, so that few inputs end at the envelope.
fn mutate_part(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let Parts { head, index, rest } = parts(data.get(..size)?)?;
    let (mut head, mut index, mut rest) = (head.to_vec(), index.to_vec(), rest.to_vec());
    match seed % 8 {
        // The envelope itself.
        0 => return None,
        1 | 2 => mutate(&mut head, 64),
        3 => mutate(&mut rest, 64),
        4 => mutate(&mut index, 64),
        _ => {
            // Sections are found by their offsets, so the index keeps its length.
            let length = index.len();
            if length == 0 {
                return None;
            }
            mutate(&mut index, 0);
            index.resize(length, 0);
        }
    }
    let mut input = seal(&head, &index)?;
    input.extend_from_slice(&rest);
    data.get_mut(..max_size)?
        .get_mut(..input.len())?
        .copy_from_slice(&input);
    Some(input.len())
}

/// Lets libFuzzer mutate bytes, which may become longer by `room`.
fn mutate(bytes: &mut Vec<u8>, room: usize) {
    let size = bytes.len();
    bytes.resize(size + room, 0);
    let size = fuzzer_mutate(bytes, size, size + room);
    bytes.truncate(size);
}
