//===- SymbolicMath.cpp - Python's arithmetic on symbolic sizes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SymbolicMath.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using c10::IValue;

namespace weir::reference {

std::optional<SymbolicOp> parseSymbolicOp(llvm::StringRef target) {
  using Result = std::optional<SymbolicOp>;
  return llvm::StringSwitch<Result>(target)
      .Case("_operator.add", SymbolicOp::Add)
      .Case("_operator.sub", SymbolicOp::Sub)
      .Case("_operator.mul", SymbolicOp::Mul)
      .Case("_operator.floordiv", SymbolicOp::FloorDiv)
      .Case("_operator.mod", SymbolicOp::Mod)
      .Case("_operator.pow", SymbolicOp::Pow)
      .Case("_operator.truediv", SymbolicOp::TrueDiv)
      .Case("_operator.neg", SymbolicOp::Neg)
      .Case("_operator.pos", SymbolicOp::Pos)
      .Case("_operator.lshift", SymbolicOp::LShift)
      .Case("_operator.rshift", SymbolicOp::RShift)
      .Case("_operator.eq", SymbolicOp::Eq)
      .Case("_operator.ne", SymbolicOp::Ne)
      .Case("_operator.lt", SymbolicOp::Lt)
      .Case("_operator.le", SymbolicOp::Le)
      .Case("_operator.gt", SymbolicOp::Gt)
      .Case("_operator.ge", SymbolicOp::Ge)
      .Case("_operator.and_", SymbolicOp::And)
      .Case("_operator.or_", SymbolicOp::Or)
      .Case("math.trunc", SymbolicOp::Trunc)
      .Case("torch.sym_not", SymbolicOp::Not)
      .Case("torch.sym_max", SymbolicOp::Max)
      .Case("torch.sym_min", SymbolicOp::Min)
      .Case("torch.sym_int", SymbolicOp::ToInt)
      .Case("torch.sym_float", SymbolicOp::ToFloat)
      .Case("torch.sym_ite", SymbolicOp::IfThenElse)
      .Cases({"torch.sym_sqrt", "torch._sym_sqrt"}, SymbolicOp::Sqrt)
      .Default(std::nullopt);
}

unsigned arityOf(SymbolicOp op) {
  switch (op) {
  case SymbolicOp::Neg:
  case SymbolicOp::Pos:
  case SymbolicOp::Trunc:
  case SymbolicOp::Not:
  case SymbolicOp::ToInt:
  case SymbolicOp::ToFloat:
  case SymbolicOp::Sqrt:
    return 1;
  case SymbolicOp::IfThenElse:
    return 3;
  default:
    return 2;
  }
}

namespace {

int64_t asInt(const IValue &value) {
  if (value.isBool())
    return value.toBool();
  TORCH_CHECK(value.isInt(), "an integer was expected, not ", value.tagKind());
  return value.toInt();
}

double asDouble(const IValue &value) {
  if (value.isDouble())
    return value.toDouble();
  return static_cast<double>(asInt(value));
}

int64_t checked(bool overflow, int64_t result) {
  TORCH_CHECK(!overflow, "symbolic arithmetic exceeds 64 bits");
  return result;
}

int64_t add(int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = __builtin_add_overflow(a, b, &out);
  return checked(overflow, out);
}

int64_t subtract(int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = __builtin_sub_overflow(a, b, &out);
  return checked(overflow, out);
}

int64_t multiply(int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = __builtin_mul_overflow(a, b, &out);
  return checked(overflow, out);
}

int64_t floorDivide(int64_t a, int64_t b) {
  TORCH_CHECK(b != 0, "symbolic integer division by zero");
  if (b == -1)
    return subtract(0, a);
  int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t out = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1)
      out = multiply(out, base);
    if (exponent > 1)
      base = multiply(base, base);
  }
  return out;
}

int64_t truncate(double value) {
  // 2^63 itself does not fit; -2^63 does.
  TORCH_CHECK(value >= -0x1p63 && value < 0x1p63, "cannot make an integer of ",
              value);
  return static_cast<int64_t>(value);
}

/// Python's comparison of an int with a float is exact; converting the int to
/// double first would not be.
int compare(const IValue &a, const IValue &b) {
  if (!a.isDouble() && !b.isDouble()) {
    int64_t x = asInt(a), y = asInt(b);
    return x < y ? -1 : x > y;
  }
  long double x = a.isDouble() ? a.toDouble() : static_cast<long double>(asInt(a));
  long double y = b.isDouble() ? b.toDouble() : static_cast<long double>(asInt(b));
  TORCH_CHECK(!std::isnan(x) && !std::isnan(y), "comparison with NaN");
  return x < y ? -1 : x > y;
}

bool isBoolean(const IValue &a, const IValue &b) {
  return a.isBool() && b.isBool();
}

} // namespace

IValue applySymbolicOp(SymbolicOp op, llvm::ArrayRef<IValue> operands) {
  TORCH_CHECK(operands.size() == arityOf(op), "wrong number of operands");
  const IValue &a = operands[0];
  const IValue &b = operands.size() > 1 ? operands[1] : a;
  bool real = a.isDouble() || (operands.size() == 2 && b.isDouble());
  switch (op) {
  case SymbolicOp::Add:
    return real ? IValue(asDouble(a) + asDouble(b))
                : IValue(add(asInt(a), asInt(b)));
  case SymbolicOp::Sub:
    return real ? IValue(asDouble(a) - asDouble(b))
                : IValue(subtract(asInt(a), asInt(b)));
  case SymbolicOp::Mul:
    return real ? IValue(asDouble(a) * asDouble(b))
                : IValue(multiply(asInt(a), asInt(b)));
  case SymbolicOp::FloorDiv:
    if (!real)
      return floorDivide(asInt(a), asInt(b));
    TORCH_CHECK(asDouble(b) != 0, "symbolic division by zero");
    return std::floor(asDouble(a) / asDouble(b));
  case SymbolicOp::Mod: {
    if (!real) {
      int64_t x = asInt(a), y = asInt(b);
      TORCH_CHECK(y != 0, "symbolic modulo by zero");
      if (y == -1)
        return int64_t{0};
      int64_t remainder = x % y;
      return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y
                                                          : remainder;
    }
    TORCH_CHECK(asDouble(b) != 0, "symbolic modulo by zero");
    double remainder = std::fmod(asDouble(a), asDouble(b));
    return remainder != 0 && (remainder < 0) != (asDouble(b) < 0)
               ? remainder + asDouble(b)
               : remainder;
  }
  case SymbolicOp::Pow:
    if (!real && asInt(b) >= 0)
      return power(asInt(a), asInt(b));
    return std::pow(asDouble(a), asDouble(b));
  case SymbolicOp::TrueDiv:
    TORCH_CHECK(asDouble(b) != 0, "symbolic division by zero");
    return asDouble(a) / asDouble(b);
  case SymbolicOp::Neg:
    return real ? IValue(-asDouble(a)) : IValue(subtract(0, asInt(a)));
  case SymbolicOp::Pos:
    return a;
  case SymbolicOp::Trunc:
  case SymbolicOp::ToInt:
    return real ? truncate(asDouble(a)) : asInt(a);
  case SymbolicOp::ToFloat:
    return asDouble(a);
  case SymbolicOp::Sqrt:
    TORCH_CHECK(asDouble(a) >= 0, "square root of a negative number");
    return std::sqrt(asDouble(a));
  case SymbolicOp::LShift:
  case SymbolicOp::RShift: {
    int64_t x = asInt(a), count = asInt(b);
    TORCH_CHECK(count >= 0, "negative shift count");
    if (op == SymbolicOp::RShift)
      return count > 63 ? int64_t{x < 0 ? -1 : 0} : x >> count;
    TORCH_CHECK(count < 63 || x == 0, "symbolic arithmetic exceeds 64 bits");
    return x == 0 ? int64_t{0} : multiply(x, int64_t{1} << count);
  }
  case SymbolicOp::Eq:
    return compare(a, b) == 0;
  case SymbolicOp::Ne:
    return compare(a, b) != 0;
  case SymbolicOp::Lt:
    return compare(a, b) < 0;
  case SymbolicOp::Le:
    return compare(a, b) <= 0;
  case SymbolicOp::Gt:
    return compare(a, b) > 0;
  case SymbolicOp::Ge:
    return compare(a, b) >= 0;
  case SymbolicOp::And:
    return isBoolean(a, b) ? IValue(a.toBool() && b.toBool())
                           : IValue(asInt(a) & asInt(b));
  case SymbolicOp::Or:
    return isBoolean(a, b) ? IValue(a.toBool() || b.toBool())
                           : IValue(asInt(a) | asInt(b));
  case SymbolicOp::Not:
    return asInt(a) == 0;
  case SymbolicOp::Max:
    if (real)
      return std::max(asDouble(a), asDouble(b));
    return std::max(asInt(a), asInt(b));
  case SymbolicOp::Min:
    if (real)
      return std::min(asDouble(a), asDouble(b));
    return std::min(asInt(a), asInt(b));
  case SymbolicOp::IfThenElse:
    return asInt(a) != 0 ? operands[1] : operands[2];
  }
  TORCH_CHECK(false, "unknown builtin");
}

} // namespace weir::reference
