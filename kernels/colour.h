// Conversion between R′G′B′ and Y′CbCr, as in src/frame/colour.rs.
#pragma once

#include "platform.h"

/// Coefficients for both directions. RGB formats use those of BT.601.
struct Matrix {
    /// K_R, K_G, K_B.
    float luma[3];
    /// Cb per B′ − Y′ and Cr per R′ − Y′.
    float chroma[2];
    /// R′ per Cr, G′ per Cb, G′ per Cr, B′ per Cb.
    float rgb[4];
};

HD inline float luma_of(const Matrix &m, float r, float g, float b) {
    return m.luma[0] * r + m.luma[1] * g + m.luma[2] * b;
}

HD inline void chroma_of(const Matrix &m, float r, float g, float b, float &cb, float &cr) {
    const float luma = luma_of(m, r, g, b);
    cb = (b - luma) * m.chroma[0];
    cr = (r - luma) * m.chroma[1];
}

HD inline void rgb_of(const Matrix &m, float y, float cb, float cr, float &r, float &g, float &b) {
    r = y + m.rgb[0] * cr;
    g = y + m.rgb[1] * cb + m.rgb[2] * cr;
    b = y + m.rgb[3] * cb;
}
