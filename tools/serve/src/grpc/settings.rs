//! Trace and log settings in gRPC's messages.

use crate::{error::Result, log_settings, trace_settings};
use open_inference::grpc::proto::{
    LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
    log_settings_request::setting_value::ParameterChoice as Given,
    log_settings_response::{SettingValue as LogValue, setting_value::ParameterChoice},
    trace_setting_response::SettingValue as TraceValue,
};

/// The trace settings; those of the request have to be as they are.
pub fn trace(request: &TraceSettingRequest) -> Result<TraceSettingResponse> {
    for (name, wanted) in &request.settings {
        trace_settings::update(name, &wanted.value)?;
    }
    let settings = trace_settings::SETTINGS.into_iter().map(|(name, values)| {
        let value = values.iter().map(|&value| value.to_owned()).collect();
        (name.to_owned(), TraceValue { value })
    });
    Ok(TraceSettingResponse { settings: settings.collect() })
}

/// The log settings; those of the request have to be as they are.
pub fn log(request: &LogSettingsRequest) -> Result<LogSettingsResponse> {
    for (name, wanted) in &request.settings {
        let value = match &wanted.parameter_choice {
            Some(Given::BoolParam(is)) => log_settings::Value::Bool(*is),
            Some(Given::Uint32Param(number)) => log_settings::Value::Number((*number).into()),
            Some(Given::StringParam(text)) => log_settings::Value::Text(text),
            None => continue,
        };
        log_settings::update(name, value)?;
    }
    let settings = log_settings::SETTINGS.into_iter().map(|(name, value)| {
        let value = match value {
            log_settings::Value::Bool(is) => ParameterChoice::BoolParam(is),
            log_settings::Value::Number(number) => {
                ParameterChoice::Uint32Param(u32::try_from(number).unwrap_or(u32::MAX))
            }
            log_settings::Value::Text(text) => ParameterChoice::StringParam(text.to_owned()),
        };
        (name.to_owned(), LogValue { parameter_choice: Some(value) })
    });
    Ok(LogSettingsResponse { settings: settings.collect() })
}
