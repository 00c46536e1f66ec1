//! The engine in wasm, in wasmtime: no proxy and no host calls.

use std::path::Path;
use std::time::{Duration, Instant};

use wasmtime::{
    Config, Engine, Instance, Memory, Module, OptLevel, Result, Store, TypedFunc, error::Context,
};

use crate::requests::OwnedRequest;

/// An instance of the guest module, `benches/guest`.
pub struct Guest {
    store: Store<()>,
    memory: Memory,
    reserve: TypedFunc<u32, u32>,
    requests: TypedFunc<(), u32>,
    load: TypedFunc<(), u32>,
    decide: TypedFunc<(), u32>,
    answer: TypedFunc<u32, i32>,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl Guest {
    /// Compiles the module and makes an instance that holds the requests.
    ///
    /// # Errors
    /// The file is not the guest module.
    pub fn new(path: &Path, requests: &[OwnedRequest]) -> Result<Self> {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config)?;
        let module = Module::from_file(&engine, path)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the guest exports no memory")?;
        let mut guest = Self {
            memory,
            reserve: instance.get_typed_func(&mut store, "reserve")?,
            requests: instance.get_typed_func(&mut store, "requests")?,
            load: instance.get_typed_func(&mut store, "load")?,
            decide: instance.get_typed_func(&mut store, "decide")?,
            answer: instance.get_typed_func(&mut store, "answer")?,
            store,
        };
        guest.write(&encode(requests))?;
        guest.requests.call(&mut guest.store, ())?;
        Ok(guest)
    }

    /// Copies a program into the guest and returns how long the guest takes to verify it.
    ///
    /// # Errors
    /// The guest refuses the program.
    pub fn load(&mut self, program: &[u8]) -> Result<Duration> {
        self.write(program)?;
        let start = Instant::now();
        let loaded = self.load.call(&mut self.store, ())?;
        let took = start.elapsed();
        if loaded == 0 {
            wasmtime::bail!("the guest refuses the program");
        }
        Ok(took)
    }

    /// Decides all requests once. Returns how many have a route.
    ///
    /// # Errors
    /// The guest traps.
    pub fn decide(&mut self) -> Result<u32> {
        self.decide.call(&mut self.store, ())
    }

    /// The number of the route that takes the n-th request.
    ///
    /// # Errors
    /// The guest traps.
    pub fn answer(&mut self, n: usize) -> Result<Option<usize>> {
        let number = self.answer.call(&mut self.store, n as u32)?;
        Ok(usize::try_from(number).ok())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let at = self.reserve.call(&mut self.store, bytes.len() as u32)?;
        self.memory.write(&mut self.store, at as usize, bytes)?;
        Ok(())
    }
}

/// Requests as the guest reads them.
fn encode(requests: &[OwnedRequest]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        let headers = request.headers.iter();
        let texts: Vec<&[u8]> = [request.authority.as_bytes(), request.path.as_bytes()]
            .into_iter()
            .chain(headers.flat_map(|(name, value)| [name.as_slice(), value.as_slice()]))
            .collect();
        bytes.extend((texts.len() as u32).to_le_bytes());
        for text in texts {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text);
        }
    }
    bytes
}
