//===- Pickle.cpp - State dicts without Python ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The instructions are those of Python's pickletools for protocols 2 to 5, as
// far as torch.save uses them. Every one makes at most one value, so that time
// and memory are bounded by the size of the text.
//
//===----------------------------------------------------------------------===//

#include "Pickle.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

using namespace llvm;

namespace weir {

namespace {

using Ref = uint32_t; ///< of a value in Machine::values

struct Value {
  enum Kind {
    Mark,
    Plain, ///< None, a boolean or a float: nothing that is looked at
    Int,
    Text,
    Tuple, ///< or a list
    Dict,  ///< keys and values in turn
    Name,  ///< text: "module name"
    Storage,
    Tensor,
  };
  Kind kind = Plain;
  int64_t number = 0;
  std::string text;
  std::vector<Ref> items;
  std::unique_ptr<PickledTensor> tensor; ///< of storages and tensors
};

class Machine {
public:
  explicit Machine(ArrayRef<std::byte> pickle) : rest(pickle) {}
  Expected<std::vector<PickledTensor>> run();

private:
  Error step(uint8_t code, bool &stopped);
  Error reduce();
  Error rebuildTensor(const Value &arguments);
  Error persistent();
  Error setItems(Ref dict, ArrayRef<Ref> pairs);

  static Error fail(const Twine &what) { return createStringError(what); }
  static Error unusual(const Twine &what) {
    return fail(what + ", which a state dict has no use for: nothing of the file "
                       "was run");
  }
  template <typename T> Error take(T &value) {
    if (rest.size() < sizeof(T))
      return fail("data.pkl ends in the middle");
    value = support::endian::read<T, endianness::little>(rest.data());
    rest = rest.drop_front(sizeof(T));
    return Error::success();
  }
  Error takeText(uint64_t size, std::string &text) {
    if (rest.size() < size)
      return fail("data.pkl ends in the middle");
    text.assign(reinterpret_cast<const char *>(rest.data()), size);
    rest = rest.drop_front(size);
    return json::isUTF8(text) ? Error::success()
                              : fail("data.pkl has a text that is not UTF-8");
  }
  Error takeLine(std::string &text);

  Value &push(Value::Kind kind) {
    stack.push_back(static_cast<Ref>(values.size()));
    values.emplace_back().kind = kind;
    return values.back();
  }
  Error pop(Ref &value) {
    if (stack.empty())
      return fail("data.pkl takes more values than it makes");
    value = stack.back();
    stack.pop_back();
    return Error::success();
  }
  /// The values above the last mark.
  Error popToMark(std::vector<Ref> &items);
  Error popTuple(unsigned count) {
    std::vector<Ref> items(count);
    for (Ref &item : reverse(items))
      if (Error error = pop(item))
        return error;
    push(Value::Tuple).items = std::move(items);
    return Error::success();
  }
  Error remember(uint64_t place) {
    if (stack.empty())
      return fail("data.pkl takes more values than it makes");
    memo[place] = stack.back();
    return Error::success();
  }
  Error recall(uint64_t place) {
    auto found = memo.find(place);
    if (found == memo.end())
      return fail("data.pkl recalls a value that it did not store");
    stack.push_back(found->second);
    return Error::success();
  }
  Error pushName(StringRef module, StringRef name);

  ArrayRef<std::byte> rest;
  std::vector<Value> values;
  std::vector<Ref> stack;
  DenseMap<uint64_t, Ref> memo;
};

/// The element type of one of torch's storages.
std::optional<DType> dtypeOfStorage(StringRef name) {
  return StringSwitch<std::optional<DType>>(name)
      .Case("torch DoubleStorage", DType::Float64)
      .Case("torch FloatStorage", DType::Float32)
      .Case("torch HalfStorage", DType::Float16)
      .Case("torch BFloat16Storage", DType::BFloat16)
      .Case("torch LongStorage", DType::Int64)
      .Case("torch IntStorage", DType::Int32)
      .Case("torch ShortStorage", DType::Int16)
      .Case("torch CharStorage", DType::Int8)
      .Case("torch ByteStorage", DType::UInt8)
      .Case("torch BoolStorage", DType::Bool)
      .Default(std::nullopt);
}

} // namespace

Error Machine::takeLine(std::string &text) {
  StringRef bytes(reinterpret_cast<const char *>(rest.data()), rest.size());
  size_t end = bytes.find('\n');
  if (end == StringRef::npos)
    return fail("data.pkl ends in the middle");
  if (Error error = takeText(end, text))
    return error;
  rest = rest.drop_front(1);
  return Error::success();
}

Error Machine::popToMark(std::vector<Ref> &items) {
  auto mark = find_if(reverse(stack),
                      [&](Ref each) { return values[each].kind == Value::Mark; });
  if (mark == stack.rend())
    return fail("data.pkl goes back to a mark that it did not set");
  items.assign(mark.base(), stack.end());
  stack.erase(mark.base() - 1, stack.end());
  return Error::success();
}

Error Machine::pushName(StringRef module, StringRef name) {
  std::string text = (module + " " + name).str();
  if (!dtypeOfStorage(text) && text != "collections OrderedDict" &&
      text != "torch._utils _rebuild_tensor_v2" &&
      text != "torch._utils _rebuild_parameter")
    return unusual("data.pkl names " + module + "." + name);
  push(Value::Name).text = std::move(text);
  return Error::success();
}

/// ('storage', torch.FloatStorage, key, device, number of elements)
Error Machine::persistent() {
  Ref id;
  if (Error error = pop(id))
    return error;
  const std::vector<Ref> &parts = values[id].items;
  auto of = [&](size_t i, Value::Kind kind) {
    return values[parts[i]].kind == kind;
  };
  if (values[id].kind != Value::Tuple || parts.size() != 5 ||
      !of(0, Value::Text) || values[parts[0]].text != "storage" ||
      !of(1, Value::Name) || !of(2, Value::Text) || !of(4, Value::Int))
    return unusual("data.pkl refers to something that is no storage");
  std::optional<DType> dtype = dtypeOfStorage(values[parts[1]].text);
  if (!dtype)
    return unusual("data.pkl refers to something that is no storage");
  auto storage = std::make_unique<PickledTensor>();
  storage->dtype = *dtype;
  storage->storage = values[parts[2]].text;
  storage->storageSize = values[parts[4]].number;
  push(Value::Storage).tensor = std::move(storage);
  return Error::success();
}

/// (storage, offset, sizes, strides, requires_grad, hooks)
Error Machine::rebuildTensor(const Value &arguments) {
  const std::vector<Ref> &parts = arguments.items;
  auto numbers = [&](size_t i, SmallVectorImpl<int64_t> &into) {
    const Value &list = values[parts[i]];
    if (list.kind != Value::Tuple)
      return false;
    for (Ref item : list.items) {
      if (values[item].kind != Value::Int)
        return false;
      into.push_back(values[item].number);
    }
    return true;
  };
  if (parts.size() < 4 || values[parts[0]].kind != Value::Storage ||
      values[parts[1]].kind != Value::Int)
    return fail("data.pkl has a tensor that is not of a storage");
  auto tensor = std::make_unique<PickledTensor>(*values[parts[0]].tensor);
  tensor->offset = values[parts[1]].number;
  if (!numbers(2, tensor->sizes) || !numbers(3, tensor->strides) ||
      tensor->sizes.size() != tensor->strides.size() ||
      tensor->sizes.size() > 64)
    return fail("data.pkl has a tensor whose sizes and strides disagree");
  push(Value::Tensor).tensor = std::move(tensor);
  return Error::success();
}

Error Machine::reduce() {
  Ref arguments, function;
  if (Error error = pop(arguments))
    return error;
  if (Error error = pop(function))
    return error;
  if (values[function].kind != Value::Name ||
      values[arguments].kind != Value::Tuple)
    return unusual("data.pkl calls something");
  StringRef name = values[function].text;
  if (name == "collections OrderedDict") {
    if (!values[arguments].items.empty())
      return unusual("data.pkl makes an OrderedDict out of something");
    push(Value::Dict);
    return Error::success();
  }
  if (name == "torch._utils _rebuild_tensor_v2") {
    // `values` may move when the tensor is pushed.
    Value copy;
    copy.items = values[arguments].items;
    return rebuildTensor(copy);
  }
  if (name == "torch._utils _rebuild_parameter") {
    ArrayRef<Ref> items = values[arguments].items;
    if (items.empty() || values[items.front()].kind != Value::Tensor)
      return fail("data.pkl has a parameter that is no tensor");
    stack.push_back(items.front());
    return Error::success();
  }
  return unusual("data.pkl calls " + name);
}

Error Machine::setItems(Ref dict, ArrayRef<Ref> pairs) {
  if (values[dict].kind != Value::Dict || pairs.size() % 2)
    return fail("data.pkl puts items into something that is no mapping");
  append_range(values[dict].items, pairs);
  return Error::success();
}

Error Machine::step(uint8_t code, bool &stopped) {
  Ref value, key;
  std::vector<Ref> items;
  switch (code) {
  case 0x80: { // PROTO
    uint8_t version;
    if (Error error = take(version))
      return error;
    return version <= 5 ? Error::success()
                        : fail("data.pkl is of pickle protocol " +
                               Twine(unsigned(version)) +
                               "; 2 to 5 are read");
  }
  case 0x95: { // FRAME
    uint64_t size;
    return take(size);
  }
  case '.': // STOP
    stopped = true;
    return Error::success();
  case '(': // MARK
    push(Value::Mark);
    return Error::success();
  case '}': // EMPTY_DICT
    push(Value::Dict);
    return Error::success();
  case ')': // EMPTY_TUPLE
  case ']': // EMPTY_LIST
    push(Value::Tuple);
    return Error::success();
  case 'N':  // NONE
  case 0x88: // NEWTRUE
  case 0x89: // NEWFALSE
    push(Value::Plain);
    return Error::success();
  case 'G': { // BINFLOAT
    uint64_t bits;
    if (Error error = take(bits))
      return error;
    push(Value::Plain);
    return Error::success();
  }
  case 'K': { // BININT1
    uint8_t number;
    if (Error error = take(number))
      return error;
    push(Value::Int).number = number;
    return Error::success();
  }
  case 'M': { // BININT2
    uint16_t number;
    if (Error error = take(number))
      return error;
    push(Value::Int).number = number;
    return Error::success();
  }
  case 'J': { // BININT
    int32_t number;
    if (Error error = take(number))
      return error;
    push(Value::Int).number = number;
    return Error::success();
  }
  case 0x8a: { // LONG1
    uint8_t size;
    if (Error error = take(size))
      return error;
    if (size > 8 || size > rest.size())
      return fail("data.pkl has a number beyond 64 bits");
    uint64_t number = 0;
    for (unsigned i = 0; i < size; ++i)
      number |= uint64_t(rest[i]) << (8 * i);
    // Two's complement of as many bytes as there are.
    if (size > 0 && size < 8 && (number >> (8 * size - 1)))
      number |= ~uint64_t(0) << (8 * size);
    rest = rest.drop_front(size);
    push(Value::Int).number = static_cast<int64_t>(number);
    return Error::success();
  }
  case 'X': { // BINUNICODE
    uint32_t size;
    std::string text;
    if (Error error = take(size))
      return error;
    if (Error error = takeText(size, text))
      return error;
    push(Value::Text).text = std::move(text);
    return Error::success();
  }
  case 0x8c: { // SHORT_BINUNICODE
    uint8_t size;
    std::string text;
    if (Error error = take(size))
      return error;
    if (Error error = takeText(size, text))
      return error;
    push(Value::Text).text = std::move(text);
    return Error::success();
  }
  case 'q': { // BINPUT
    uint8_t place;
    if (Error error = take(place))
      return error;
    return remember(place);
  }
  case 'r': { // LONG_BINPUT
    uint32_t place;
    if (Error error = take(place))
      return error;
    return remember(place);
  }
  case 0x94: // MEMOIZE
    return remember(memo.size());
  case 'h': { // BINGET
    uint8_t place;
    if (Error error = take(place))
      return error;
    return recall(place);
  }
  case 'j': { // LONG_BINGET
    uint32_t place;
    if (Error error = take(place))
      return error;
    return recall(place);
  }
  case 'c': { // GLOBAL
    std::string module, name;
    if (Error error = takeLine(module))
      return error;
    if (Error error = takeLine(name))
      return error;
    return pushName(module, name);
  }
  case 0x93: { // STACK_GLOBAL
    if (Error error = pop(value))
      return error;
    if (Error error = pop(key))
      return error;
    if (values[value].kind != Value::Text || values[key].kind != Value::Text)
      return fail("data.pkl has a name that is no text");
    std::string module = values[key].text, name = values[value].text;
    return pushName(module, name);
  }
  case 't': // TUPLE
    if (Error error = popToMark(items))
      return error;
    push(Value::Tuple).items = std::move(items);
    return Error::success();
  case 0x85: // TUPLE1
    return popTuple(1);
  case 0x86: // TUPLE2
    return popTuple(2);
  case 0x87: // TUPLE3
    return popTuple(3);
  case 'Q': // BINPERSID
    return persistent();
  case 'R': // REDUCE
    return reduce();
  case 'b': { // BUILD: the attributes of a state dict (_metadata)
    if (Error error = pop(value))
      return error;
    if (stack.empty() || values[stack.back()].kind != Value::Dict ||
        values[value].kind != Value::Dict)
      return unusual("data.pkl sets the state of something");
    return Error::success();
  }
  case 's': // SETITEM
    if (Error error = pop(value))
      return error;
    if (Error error = pop(key))
      return error;
    if (stack.empty())
      return fail("data.pkl takes more values than it makes");
    return setItems(stack.back(), {key, value});
  case 'u': // SETITEMS
    if (Error error = popToMark(items))
      return error;
    if (stack.empty())
      return fail("data.pkl takes more values than it makes");
    return setItems(stack.back(), items);
  default:
    return unusual("data.pkl has the instruction 0x" +
                   utohexstr(code, /*LowerCase=*/true, 2));
  }
}

Expected<std::vector<PickledTensor>> Machine::run() {
  for (bool stopped = false; !stopped;) {
    uint8_t code;
    if (Error error = take(code))
      return std::move(error);
    if (Error error = step(code, stopped))
      return std::move(error);
  }
  if (stack.size() != 1 || values[stack.back()].kind != Value::Dict)
    return fail("data.pkl is no state dict: it does not make one mapping");
  std::vector<PickledTensor> tensors;
  StringSet<> names;
  ArrayRef<Ref> items = values[stack.back()].items;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    const Value &key = values[items[i]], &value = values[items[i + 1]];
    if (key.kind != Value::Text)
      return fail("data.pkl is no state dict: a key is no text");
    if (value.kind != Value::Tensor)
      return fail("data.pkl is no state dict: '" + key.text +
                  "' is no tensor");
    if (!names.insert(key.text).second)
      return fail("data.pkl has '" + key.text + "' twice");
    tensors.push_back(*value.tensor);
    tensors.back().name = key.text;
  }
  return tensors;
}

Expected<std::vector<PickledTensor>>
readStateDict(ArrayRef<std::byte> pickle) {
  if (pickle.size() > largestPickle)
    return createStringError("data.pkl has " + Twine(pickle.size()) +
                             " bytes; a state dict may have " +
                             Twine(largestPickle));
  return Machine(pickle).run();
}

} // namespace weir
