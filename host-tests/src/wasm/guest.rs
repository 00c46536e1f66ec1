//! The guest as a host call sees it: its memory, its allocator, and the state of the host.

use wasmtime::{Caller, Extern, Memory};

use super::abi::Status;
use super::state::Host;

/// Why a host call did not succeed.
pub(super) enum Failure {
    /// The guest is told.
    Status(Status),
    /// The guest cannot go on.
    Trap(wasmtime::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Status(status)
    }
}

pub(super) type Answer = Result<(), Failure>;

/// A host call in progress.
pub(super) struct Guest<'a> {
    caller: Caller<'a, Host>,
}

/// A piece of guest memory, as host calls name it.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) pointer: u32,
    pub(super) length: u32,
}

impl<'a> Guest<'a> {
    /// Starts, and counts, the host call `name`.
    pub(super) fn new(mut caller: Caller<'a, Host>, name: &'static str) -> Guest<'a> {
        *caller.data_mut().calls.entry(name).or_default() += 1;
        Guest { caller }
    }

    pub(super) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    pub(super) fn read(&mut self, slice: Slice) -> Result<Vec<u8>, Status> {
        let memory = self.memory()?;
        let start = usize::try_from(slice.pointer).map_err(|_| Status::InvalidMemoryAccess)?;
        let length = usize::try_from(slice.length).map_err(|_| Status::InvalidMemoryAccess)?;
        let bytes = memory
            .data(&self.caller)
            .get(start..)
            .and_then(|rest| rest.get(..length));
        bytes.map(<[u8]>::to_vec).ok_or(Status::InvalidMemoryAccess)
    }

    pub(super) fn read_text(&mut self, slice: Slice) -> Result<String, Status> {
        Ok(String::from_utf8_lossy(&self.read(slice)?).into_owned())
    }

    pub(super) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.memory()?;
        let offset = usize::try_from(pointer).map_err(|_| Status::InvalidMemoryAccess)?;
        memory
            .write(&mut self.caller, offset, bytes)
            .map_err(|_| Status::InvalidMemoryAccess)
    }

    pub(super) fn write_u32(&mut self, pointer: u32, number: u32) -> Result<(), Status> {
        self.write(pointer, &number.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, pointer: u32, number: u64) -> Result<(), Status> {
        self.write(pointer, &number.to_le_bytes())
    }

    /// Hands bytes over to the guest, in memory that the guest allocates for them; nothing is allocated for no bytes.
    pub(super) fn give(&mut self, bytes: &[u8], return_pointer: u32, return_length: u32) -> Answer {
        let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let mut pointer = 0;
        if length > 0 {
            pointer = self.allocate(length).map_err(Failure::Trap)?;
            self.write(pointer, bytes)?;
        }
        self.write_u32(return_pointer, pointer)?;
        self.write_u32(return_length, length)?;
        Ok(())
    }

    fn allocate(&mut self, length: u32) -> wasmtime::Result<u32> {
        let allocator = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .find_map(|name| self.caller.get_export(name).and_then(Extern::into_func))
            .ok_or_else(|| wasmtime::Error::msg("the guest exports no allocator"))?;
        allocator
            .typed::<u32, u32>(&self.caller)?
            .call(&mut self.caller, length)
    }

    fn memory(&mut self) -> Result<Memory, Status> {
        let memory = self
            .caller
            .get_export("memory")
            .and_then(Extern::into_memory);
        memory.ok_or(Status::InvalidMemoryAccess)
    }
}
