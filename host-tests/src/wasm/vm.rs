//! Modules, VMs, and the order in which a host calls into them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wasmtime::{
    Config, Engine, Instance, InstancePre, Linker, Store, TypedFunc, WasmParams, WasmResults,
};

use super::call::{Call, CallAnswer, Question};
use super::exchange::{Forwarded, LocalReply, OpenStream, Outcome, Request};
use super::failure::{LoadError, Refused, Trap};
use super::headers::Headers;
use super::local_reply::{self, SentReply};
use super::state::{Host, LogLine, Phase, RequestBody, Root, Stream};
use super::store::Metric;
use super::{abi, imports, wasi};

/// Fuel of one call into the guest, about one unit per instruction. A callback that needs more is stopped: it loops.
const FUEL_PER_CALL: u64 = 2_000_000_000;

/// A compiled filter. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    instance: InstancePre<Host>,
}

/// A running VM with an accepted configuration.
pub struct Vm {
    module: Module,
    store: Store<Host>,
    callbacks: Callbacks,
    memory: wasmtime::Memory,
    root: u32,
    next_context: u32,
    dead: Option<Trap>,
    instructions: u64,
}

/// Root context, token, number of headers, size of the body, number of trailers.
type CallResponse = (u32, u32, u32, u32, u32);

/// The exports that the host calls; a guest exports those that it needs.
struct Callbacks {
    context_create: Option<TypedFunc<(u32, u32), ()>>,
    vm_start: Option<TypedFunc<(u32, u32), u32>>,
    configure: Option<TypedFunc<(u32, u32), u32>>,
    queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    grpc_receive: Option<TypedFunc<(u32, u32, u32), ()>>,
    http_call_response: Option<TypedFunc<CallResponse, ()>>,
    request_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    request_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    response_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    tick: Option<TypedFunc<u32, ()>>,
    log: Option<TypedFunc<u32, ()>>,
    done: Option<TypedFunc<u32, u32>>,
    delete: Option<TypedFunc<u32, ()>>,
}

impl Module {
    /// Compiles a module and checks that this host can run it.
    ///
    /// # Errors
    /// When the bytes are not WebAssembly, when the module imports something that the ABI does not have, and when it is no
    /// filter for ABI 0.2.1.
    pub fn load(wasm: &[u8]) -> Result<Module, LoadError> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).map_err(LoadError::because)?;
        let module = wasmtime::Module::new(&engine, wasm).map_err(LoadError::because)?;
        if module.get_export("proxy_abi_version_0_2_1").is_none() {
            return Err(LoadError(
                "the module does not export `proxy_abi_version_0_2_1`".to_owned(),
            ));
        }
        if !["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .any(|name| module.get_export(name).is_some())
        {
            return Err(LoadError(
                "the module exports neither `proxy_on_memory_allocate` nor `malloc`".to_owned(),
            ));
        }
        let mut linker = Linker::new(&engine);
        imports::add_to_linker(&mut linker)
            .and_then(|()| wasi::add_to_linker(&mut linker))
            .map_err(LoadError::because)?;
        let instance = linker
            .instantiate_pre(&module)
            .map_err(LoadError::because)?;
        Ok(Module { instance })
    }
}

impl Vm {
    /// Starts a VM with a plugin configuration.
    ///
    /// # Errors
    /// When the guest refuses the configuration or traps.
    pub fn start(module: &Module, configuration: &[u8]) -> Result<Vm, Refused> {
        let engine = module.instance.module().engine();
        let mut store = Store::new(engine, Host::new());
        store.limiter(|host| &mut host.limits);
        let started = Vm::instantiate(&mut store, module);
        let (callbacks, memory) = match started {
            Ok(started) => started,
            Err(error) => {
                let logs = std::mem::take(&mut store.data_mut().logs);
                return Err(Refused {
                    trap: Some(Trap::because(&error)),
                    logs,
                });
            }
        };
        let mut vm = Vm {
            module: module.clone(),
            store,
            callbacks,
            memory,
            root: 0,
            next_context: 1,
            dead: None,
            instructions: 0,
        };
        vm.root = vm.add_root(configuration)?;
        Ok(vm)
    }

    fn instantiate(
        store: &mut Store<Host>,
        module: &Module,
    ) -> wasmtime::Result<(Callbacks, wasmtime::Memory)> {
        store.set_fuel(FUEL_PER_CALL)?;
        let instance = module.instance.instantiate(&mut *store)?;
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
        if let Some(initialize) = find::<(), ()>(&instance, store, "_initialize")? {
            initialize.call(&mut *store, ())?;
        }
        Ok((Callbacks::of(&instance, store)?, memory))
    }

    /// Gives the VM a new plugin configuration. As in Envoy, a VM of its own tries it first, so that a configuration that
    /// is refused, or makes the guest trap, leaves this one as it was. Open streams keep the configuration that they
    /// started with.
    ///
    /// # Errors
    /// When the guest refuses the configuration or traps.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<(), Refused> {
        Vm::start(&self.module, configuration)?;
        let root = self.add_root(configuration)?;
        let old = std::mem::replace(&mut self.root, root);
        if let Some(old) = self.store.data_mut().roots.get_mut(&old) {
            old.replaced = true;
        }
        self.end_root(old).map_err(|trap| self.refused(Some(trap)))
    }

    /// Creates a root context and has it look at the configuration.
    fn add_root(&mut self, configuration: &[u8]) -> Result<u32, Refused> {
        self.begin();
        let root = self.new_context();
        let host = self.store.data_mut();
        host.roots.insert(root, Root::default());
        host.plugin_configuration = configuration.to_vec();
        let first_line = host.logs.len();
        let accepted = self.configure_root(root, configuration.len());
        self.store.data_mut().plugin_configuration = Vec::new();
        match accepted {
            Ok(true) => Ok(root),
            refused => {
                let logs = self
                    .store
                    .data()
                    .logs
                    .get(first_line..)
                    .unwrap_or_default()
                    .to_vec();
                Err(Refused {
                    trap: refused.err(),
                    logs,
                })
            }
        }
    }

    fn configure_root(&mut self, root: u32, size: usize) -> Result<bool, Trap> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.call(root, |callbacks| &callbacks.context_create, (root, 0))?;
        if self.call(root, |callbacks| &callbacks.vm_start, (root, 0))? == Some(0) {
            return Ok(false);
        }
        Ok(self.call(root, |callbacks| &callbacks.configure, (root, size))? != Some(0))
    }

    fn refused(&self, trap: Option<Trap>) -> Refused {
        Refused {
            trap,
            logs: self.store.data().logs.clone(),
        }
    }

    /// Ends a root context that was replaced, once its last stream is gone.
    fn end_root(&mut self, root: u32) -> Result<(), Trap> {
        let host = self.store.data();
        let in_use = host.streams.values().any(|stream| stream.root == root);
        if in_use || !host.roots.get(&root).is_some_and(|root| root.replaced) {
            return Ok(());
        }
        self.call(root, |callbacks| &callbacks.done, root)?;
        self.call(root, |callbacks| &callbacks.delete, root)?;
        self.store.data_mut().roots.remove(&root);
        Ok(())
    }

    /// Runs a request through the filter.
    pub fn request(&mut self, request: Request) -> Outcome {
        self.begin();
        let context = self.new_context();
        self.run_request(context, request)
            .unwrap_or_else(Outcome::Trapped)
    }

    fn run_request(&mut self, context: u32, request: Request) -> Result<Outcome, Trap> {
        let header_count = count(&request.headers);
        let stream = Stream {
            root: self.root,
            phase: Phase::Request,
            request: request.headers,
            response: Headers::new(),
            properties: request.properties,
            sent_reply: None,
            continued: false,
            body: RequestBody::default(),
        };
        self.store.data_mut().streams.insert(context, stream);
        self.call(
            context,
            |callbacks| &callbacks.context_create,
            (context, self.root),
        )?;
        let arguments = (context, header_count, u32::from(request.end_of_stream));
        let action = self.call(context, |callbacks| &callbacks.request_headers, arguments)?;
        if let Some(state) = self.store.data_mut().streams.get_mut(&context) {
            state.body.is_heard = action == Some(abi::ACTION_STOP_HEADERS);
        }
        let continued = action.is_none_or(|action| action == abi::ACTION_CONTINUE);
        self.outcome_so_far(context, continued)
    }

    /// Hands the guest a piece of the body of a request that it holds, if it wants bodies of it.
    pub fn body(&mut self, stream: OpenStream, piece: &[u8], is_end: bool) -> Outcome {
        self.begin();
        self.run_body(stream.context, piece, is_end)
            .unwrap_or_else(Outcome::Trapped)
    }

    fn run_body(&mut self, context: u32, piece: &[u8], is_end: bool) -> Result<Outcome, Trap> {
        let mut continued = false;
        if let Some(state) = self.store.data_mut().streams.get_mut(&context)
            && state.body.is_heard
        {
            if !state.body.is_gathered {
                state.body.bytes.clear();
            }
            state.body.bytes.extend_from_slice(piece);
            let size = u32::try_from(state.body.bytes.len()).unwrap_or(u32::MAX);
            let arguments = (context, size, u32::from(is_end));
            let action = self.call(context, |callbacks| &callbacks.request_body, arguments)?;
            continued = action.is_none_or(|action| action == abi::ACTION_CONTINUE);
            if let Some(state) = self.store.data_mut().streams.get_mut(&context) {
                state.body.is_gathered = action == Some(abi::ACTION_GATHER);
            }
        }
        self.outcome_so_far(context, continued)
    }

    fn outcome_so_far(&mut self, context: u32, continued: bool) -> Result<Outcome, Trap> {
        if let Some(reply) = self.take_sent_reply(context) {
            return self.reply_locally(context, reply).map(Outcome::LocalReply);
        }
        let stream = OpenStream { context };
        let state = self.store.data().streams.get(&context);
        if !continued && !state.is_some_and(|state| state.continued) {
            return Ok(Outcome::Paused(stream));
        }
        let (headers, properties) = state
            .map(|state| (state.request.clone(), state.properties.clone()))
            .unwrap_or_default();
        Ok(Outcome::Forwarded(Forwarded {
            stream,
            headers,
            properties,
        }))
    }

    /// What has become of a request that was paused.
    pub fn outcome(&mut self, stream: OpenStream) -> Outcome {
        self.outcome_so_far(stream.context, false)
            .unwrap_or_else(Outcome::Trapped)
    }

    /// Adds a cluster that the guest can call.
    pub fn add_cluster(&mut self, name: &str) {
        let services = &mut self.store.data_mut().services;
        services.clusters.insert(name.to_owned());
    }

    /// Takes the oldest call that is not answered.
    pub fn take_call(&mut self) -> Option<Call> {
        let open = &mut self.store.data_mut().services.open;
        open.pop_first().map(|(_, call)| call)
    }

    /// Answers a call: one by gRPC with a message, one by HTTP with status 200 and a body.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn answer_call(&mut self, call: &Call, body: &[u8]) -> Result<(), Trap> {
        self.begin();
        let mut headers = Headers::new();
        headers.add(":status", "200");
        let header_count = count(&headers);
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.store.data_mut().services.answer = Some(CallAnswer {
            headers,
            body: body.to_vec(),
        });
        let (root, token) = (call.root, call.token);
        let answered = match &call.question {
            Question::Grpc(..) => {
                let arguments = (root, token, size);
                self.call(root, |callbacks| &callbacks.grpc_receive, arguments)
            }
            Question::Http(..) => {
                let arguments = (root, token, header_count, size, 0);
                self.call(root, |callbacks| &callbacks.http_call_response, arguments)
            }
        };
        self.store.data_mut().services.answer = None;
        answered.map(drop)
    }

    /// Lets time pass. Timers run out as they would meanwhile.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn advance(&mut self, time: Duration) -> Result<(), Trap> {
        self.begin();
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let end = self.store.data().now.saturating_add(time);
        while let Some((due, root)) = self.next_timer()
            && due <= end
        {
            let host = self.store.data_mut();
            host.now = due;
            if let Some(timer) = host
                .roots
                .get_mut(&root)
                .and_then(|root| root.timer.as_mut())
            {
                timer.due = due.saturating_add(timer.period);
            }
            self.call(root, |callbacks| &callbacks.tick, root)?;
        }
        self.store.data_mut().now = end;
        Ok(())
    }

    /// Whether a timer is on.
    pub fn has_timer(&self) -> bool {
        self.next_timer().is_some()
    }

    /// When a timer runs out next, and the root context that it belongs to.
    fn next_timer(&self) -> Option<(u64, u32)> {
        let roots = self.store.data().roots.iter();
        roots
            .filter_map(|(&root, state)| Some((state.timer?.due, root)))
            .min()
    }

    /// Lets the upstream answer, and closes the stream. Returns the response headers as the client gets them. A filter that
    /// replaces the response by one of its own is obeyed.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn respond(&mut self, stream: OpenStream, response: Headers) -> Result<Headers, Trap> {
        self.begin();
        self.run_response(stream.context, response)?;
        if let Some(reply) = self.take_sent_reply(stream.context)
            && let Some(state) = self.store.data_mut().streams.get_mut(&stream.context)
        {
            state.response = local_reply::shape(&reply, &state.request).headers;
        }
        Ok(self.end_stream(stream.context)?.response)
    }

    /// Closes a stream that gets no response, as when the client has gone away.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn close(&mut self, stream: OpenStream) -> Result<(), Trap> {
        self.begin();
        self.end_stream(stream.context).map(drop)
    }

    fn reply_locally(&mut self, context: u32, reply: SentReply) -> Result<LocalReply, Trap> {
        let request = self
            .store
            .data()
            .streams
            .get(&context)
            .map(|stream| stream.request.clone());
        let shaped = local_reply::shape(&reply, &request.unwrap_or_default());
        self.run_response(context, shaped.headers)?;
        let ended = self.end_stream(context)?;
        let status = ended
            .response
            .get(":status")
            .and_then(|status| str::from_utf8(status).ok()?.parse().ok());
        Ok(LocalReply {
            status: status.unwrap_or(0),
            headers: ended.response,
            body: shaped.body,
            request: ended.request,
            details: reply.details,
            properties: ended.properties,
        })
    }

    fn run_response(&mut self, context: u32, response: Headers) -> Result<(), Trap> {
        let header_count = count(&response);
        if let Some(stream) = self.store.data_mut().streams.get_mut(&context) {
            stream.phase = Phase::Response;
            stream.response = response;
        }
        self.call(
            context,
            |callbacks| &callbacks.response_headers,
            (context, header_count, 0),
        )?;
        Ok(())
    }

    fn end_stream(&mut self, context: u32) -> Result<Stream, Trap> {
        if let Some(stream) = self.store.data_mut().streams.get_mut(&context) {
            stream.phase = Phase::Log;
        }
        self.call(context, |callbacks| &callbacks.log, context)?;
        self.call(context, |callbacks| &callbacks.done, context)?;
        self.call(context, |callbacks| &callbacks.delete, context)?;
        let stream = self.store.data_mut().streams.remove(&context);
        let stream = stream.ok_or_else(|| Trap("the stream belongs to another VM".to_owned()))?;
        self.end_root(stream.root)?;
        Ok(stream)
    }

    fn take_sent_reply(&mut self, context: u32) -> Option<SentReply> {
        self.store
            .data_mut()
            .streams
            .get_mut(&context)?
            .sent_reply
            .take()
    }

    /// Everything that the guest has logged.
    pub fn logs(&self) -> &[LogLine] {
        &self.store.data().logs
    }

    /// All metrics by name.
    pub fn metrics(&self) -> &BTreeMap<String, Metric> {
        self.store.data().metrics.values()
    }

    /// Host calls by name, and how often each was made during the last operation ([`request`](Vm::request),
    /// [`respond`](Vm::respond), …).
    pub fn host_calls(&self) -> &BTreeMap<&'static str, u32> {
        &self.store.data().calls
    }

    /// WebAssembly instructions that the guest executed during the last operation, nearly.
    pub fn instructions(&self) -> u64 {
        self.instructions
    }

    /// Size of the linear memory, in pages of 64 KiB.
    pub fn memory_pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    fn begin(&mut self) {
        self.instructions = 0;
        self.store.data_mut().calls.clear();
    }

    fn new_context(&mut self) -> u32 {
        let context = self.next_context;
        self.next_context += 1;
        context
    }

    /// Calls an export on behalf of a context, and then wakes the queues that got a message meanwhile. `None` when the guest
    /// does not have this export.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        callback: fn(&Callbacks) -> &Option<TypedFunc<P, R>>,
        arguments: P,
    ) -> Result<Option<R>, Trap> {
        let callback = callback(&self.callbacks).clone();
        let result = self.call_function(context, callback, arguments)?;
        while let Some((root, queue)) = self.store.data_mut().queues.take_wake() {
            self.call_function(root, self.callbacks.queue_ready.clone(), (root, queue))?;
        }
        Ok(result)
    }

    fn call_function<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        function: Option<TypedFunc<P, R>>,
        arguments: P,
    ) -> Result<Option<R>, Trap> {
        if let Some(trap) = &self.dead {
            return Err(trap.clone());
        }
        let Some(function) = function else {
            return Ok(None);
        };
        self.store.data_mut().context = context;
        let result = self
            .store
            .set_fuel(FUEL_PER_CALL)
            .and_then(|()| function.call(&mut self.store, arguments));
        self.instructions += FUEL_PER_CALL.saturating_sub(self.store.get_fuel().unwrap_or(0));
        result
            .map(Some)
            .map_err(|error| self.dead.insert(Trap::because(&error)).clone())
    }
}

impl Callbacks {
    fn of(instance: &Instance, store: &mut Store<Host>) -> wasmtime::Result<Callbacks> {
        Ok(Callbacks {
            context_create: find(instance, store, "proxy_on_context_create")?,
            vm_start: find(instance, store, "proxy_on_vm_start")?,
            configure: find(instance, store, "proxy_on_configure")?,
            queue_ready: find(instance, store, "proxy_on_queue_ready")?,
            grpc_receive: find(instance, store, "proxy_on_grpc_receive")?,
            http_call_response: find(instance, store, "proxy_on_http_call_response")?,
            request_headers: find(instance, store, "proxy_on_request_headers")?,
            request_body: find(instance, store, "proxy_on_request_body")?,
            response_headers: find(instance, store, "proxy_on_response_headers")?,
            tick: find(instance, store, "proxy_on_tick")?,
            log: find(instance, store, "proxy_on_log")?,
            done: find(instance, store, "proxy_on_done")?,
            delete: find(instance, store, "proxy_on_delete")?,
        })
    }
}

/// The export `name`, if the guest has it; an error if it has another type than the ABI wants.
fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<Host>,
    name: &str,
) -> wasmtime::Result<Option<TypedFunc<P, R>>> {
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Ok(None);
    };
    let typed = function
        .typed(&*store)
        .map_err(|error| error.context(format!("export `{name}`")))?;
    Ok(Some(typed))
}

fn count(headers: &Headers) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm")
            .field("root", &self.root)
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}
