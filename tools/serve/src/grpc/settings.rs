//! Trace and log settings, as Triton's clients read and write them. The server has no traces; its log is set when it
//! starts.

use crate::error::{Error, Result};
use open_inference::grpc::proto::{
    LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
    log_settings_response::{SettingValue as LogValue, setting_value::ParameterChoice},
    trace_setting_response::SettingValue as TraceValue,
};

/// The trace settings of a server of Triton's that traces nothing.
const TRACE: [(&str, &str); 6] = [
    ("trace_level", "OFF"),
    ("trace_rate", "1000"),
    ("trace_count", "-1"),
    ("log_frequency", "0"),
    ("trace_file", ""),
    ("trace_mode", "triton"),
];

/// The log settings: what is logged, besides errors, is up to the server's own settings.
const LOG: [(&str, ParameterChoice); 6] = [
    ("log_file", ParameterChoice::StringParam(String::new())),
    ("log_info", ParameterChoice::BoolParam(false)),
    ("log_warning", ParameterChoice::BoolParam(true)),
    ("log_error", ParameterChoice::BoolParam(true)),
    ("log_verbose_level", ParameterChoice::Uint32Param(0)),
    ("log_format", ParameterChoice::StringParam(String::new())),
];

/// The trace settings; a change that would start a trace is refused.
pub fn trace(request: &TraceSettingRequest) -> Result<TraceSettingResponse> {
    for (name, wanted) in &request.settings {
        let Some((_, current)) = TRACE.iter().find(|(known, _)| known == name) else {
            return Err(Error::Invalid(format!("no trace setting '{name}'")));
        };
        // An empty list resets a setting.
        if wanted.value.iter().any(|value| value != current) {
            return Err(Error::Unsupported(format!("trace setting '{name}': traces are not supported")));
        }
    }
    let settings = TRACE.map(|(name, value)| (name.to_owned(), TraceValue { value: vec![value.to_owned()] }));
    Ok(TraceSettingResponse { settings: settings.into() })
}

/// The log settings; a change is refused.
pub fn log(request: &LogSettingsRequest) -> Result<LogSettingsResponse> {
    if let Some(name) = request.settings.keys().next() {
        let message = format!("log setting '{name}': start the server with another setting serve.log");
        return Err(Error::Unsupported(message));
    }
    let settings = LOG.map(|(name, value)| (name.to_owned(), LogValue { parameter_choice: Some(value) }));
    Ok(LogSettingsResponse { settings: settings.into() })
}
