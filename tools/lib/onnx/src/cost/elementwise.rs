//! FLOPs of each element, of operators that treat elements alike.

/// FLOPs of each element of the output: of an elementary function 1, of a composed one its steps.
pub(super) fn of_output(op_type: &str) -> Option<u64> {
    Some(match op_type {
        "Abs" | "Neg" | "Sign" | "Ceil" | "Floor" | "Round" | "Reciprocal" | "Sqrt" | "Exp" | "Log" | "Sin" | "Cos"
        | "Tan" | "Asin" | "Acos" | "Atan" | "Sinh" | "Cosh" | "Tanh" | "Asinh" | "Acosh" | "Atanh" | "Erf"
        | "Relu" | "ThresholdedRelu" | "IsNaN" | "IsInf" => 1,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" => 1,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" | "Not" | "BitShift"
        | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "BitwiseNot" => 1,
        // max(x, slope · x); min(max(x, low), high)
        "LeakyRelu" | "PRelu" | "Clip" | "Shrink" => 2,
        // x > 0 ? x : α (exp(x) - 1), and variants
        "Elu" => 4,
        "Celu" | "Selu" => 5,
        // log(1 + exp(x)); x / (1 + |x|)
        "Softplus" | "Softsign" => 3,
        // 1 / (1 + exp(-x)); and with x ·
        "Sigmoid" => 4,
        "Swish" => 5,
        // min(max(α x + β, 0), 1); and with x ·
        "HardSigmoid" => 4,
        "HardSwish" => 5,
        // x tanh(log(1 + exp(x)))
        "Mish" => 5,
        // x / 2 · (1 + erf(x / √2))
        "Gelu" => 5,
        // round(x / scale) + zero point, then two comparisons; (x - zero point) · scale
        "QuantizeLinear" => 5,
        "DequantizeLinear" => 2,
        "Range" | "CumSum" => 1,
        // Two products and a sum.
        "RotaryEmbedding" => 3,
        _ => return None,
    })
}

/// FLOPs of each element of the input.
pub(super) fn of_input(op_type: &str) -> Option<u64> {
    Some(match op_type {
        // Scale and shift; statistics are constants.
        "BatchNormalization" => 2,
        // Mean (1), x - mean (1), variance (2), · 1/σ (1), scale and shift (2).
        "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" => 7,
        "MeanVarianceNormalization" => 5,
        // Mean square (2), · 1/rms (1), scale (1).
        "RMSNormalization" => 4,
        "LpNormalization" => 3,
        // Maximum, difference, exponential, sum, quotient (or difference of logarithms).
        "Softmax" | "LogSoftmax" => 5,
        "Hardmax" | "ArgMax" | "ArgMin" => 1,
        "GlobalAveragePool" | "GlobalMaxPool" => 1,
        "GlobalLpPool" => 2,
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceLogSum" => 1,
        "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSumExp" => 2,
        // Minimum and maximum, then as QuantizeLinear.
        "DynamicQuantizeLinear" => 7,
        _ => return None,
    })
}
