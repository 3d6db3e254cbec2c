//! A method and its parameters become a call.

use super::call::{
    Call, Capabilities, Dispatch, Fail, Hello, KvDelete, KvGet, KvList, KvSet, Level, Log,
};
use super::params::{ParamError, Params};

/// The call of a method; `None` for a method that is not known.
pub(super) fn call(method: &str, params: &Params<'_>) -> Option<Result<Call, ParamError>> {
    Some(match method {
        "hello" => hello(params).map(Call::Hello),
        "ready" => Ok(Call::Ready),
        "dispatch" => dispatch(params).map(Call::Dispatch),
        "state.set" => params.required("state").map(Call::StateSet),
        "kv.get" => kv_get(params).map(Call::KvGet),
        "kv.set" => kv_set(params).map(Call::KvSet),
        "kv.delete" => kv_delete(params).map(Call::KvDelete),
        "kv.list" => kv_list(params).map(Call::KvList),
        "log" => log(params).map(Call::Log),
        "status" => params.required("text").map(Call::Status),
        "heartbeat" => heartbeat(params),
        "fail" => fail(params).map(Call::Fail),
        _ => return None,
    })
}

fn hello(params: &Params<'_>) -> Result<Hello, ParamError> {
    let names: Vec<String> = params.optional("capabilities")?.unwrap_or_default();
    Ok(Hello {
        protocol: params.required("protocol")?,
        sdk: params.optional("sdk")?,
        capabilities: Capabilities::from_names(&names),
    })
}

fn heartbeat(params: &Params<'_>) -> Result<Call, ParamError> {
    Ok(Call::Heartbeat {
        extend_s: params.seconds("extend")?,
        poll_s: params.seconds("poll")?,
    })
}

fn dispatch(params: &Params<'_>) -> Result<Dispatch, ParamError> {
    Ok(Dispatch {
        payload: params.raw_object("payload")?,
        trigger: params.optional("trigger")?,
        id: params.optional("id")?,
        time: params.optional("time")?,
        trace_tag: params.optional("trace_tag")?,
        state: params.nullable("state")?,
    })
}

fn kv_get(params: &Params<'_>) -> Result<KvGet, ParamError> {
    Ok(KvGet {
        key: params.required("key")?,
        scope: params.optional("scope")?.unwrap_or_default(),
        decrypt: params.optional("decrypt")?.unwrap_or_default(),
    })
}

fn kv_set(params: &Params<'_>) -> Result<KvSet, ParamError> {
    Ok(KvSet {
        key: params.required("key")?,
        scope: params.optional("scope")?.unwrap_or_default(),
        value: params.required("value")?,
        ttl_s: params.seconds("ttl")?,
        encrypt: params.optional("encrypt")?.unwrap_or_default(),
    })
}

fn kv_delete(params: &Params<'_>) -> Result<KvDelete, ParamError> {
    Ok(KvDelete {
        key: params.required("key")?,
        scope: params.optional("scope")?.unwrap_or_default(),
    })
}

fn kv_list(params: &Params<'_>) -> Result<KvList, ParamError> {
    Ok(KvList {
        prefix: params.optional("prefix")?.unwrap_or_default(),
        scope: params.optional("scope")?.unwrap_or_default(),
        limit: params.optional("limit")?,
        offset: params.optional("offset")?.unwrap_or_default(),
        decrypt: params.optional("decrypt")?.unwrap_or_default(),
    })
}

fn log(params: &Params<'_>) -> Result<Log, ParamError> {
    let level: Option<String> = params.optional("level")?;
    Ok(Log {
        level: level.map_or(Level::Info, |name| Level::from_name(&name)),
        message: params.required("message")?,
        logger: params.optional("logger")?,
        fields: params.optional("fields")?,
        traceback: params.optional("traceback")?,
    })
}

fn fail(params: &Params<'_>) -> Result<Fail, ParamError> {
    Ok(Fail {
        kind: params.required("kind")?,
        message: params.required("message")?,
        path: params.optional("path")?,
        hint: params.optional("hint")?,
        retry_after_s: params.seconds("retry_after")?,
    })
}
