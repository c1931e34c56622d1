// Frames of fixes: read as they stand on the topic `logistics.fixes`, and made for `POST /v1/{tenant}/fixes/frames`.
//
// The standard library alone. What is not known is nil, as the rider of a device that nobody held.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

const (
	mostFixes = 500
	spanMs    = 65_000
)

type Fix struct {
	DeviceID   string   `json:"device_id"`
	RiderID    *string  `json:"rider_id"`
	AtMs       int64    `json:"at_ms"`
	Lat        float64  `json:"lat"`
	Lon        float64  `json:"lon"`
	SpeedMps   *float64 `json:"speed_mps"`
	BearingDeg *float64 `json:"bearing_deg"`
	AccuracyM  *float64 `json:"accuracy_m"`
	BatteryPct *float64 `json:"battery_pct"`
	Mock       bool     `json:"mock"`
}

// The body of `POST /v1/{tenant}/fixes/frames`: the columns are Base64 in JSON.
type Frame struct {
	Count    int      `json:"count"`
	BaseTime string   `json:"base_time"`
	Devices  []string `json:"devices"`
	Device   []byte   `json:"device"`
	OffsetMs []byte   `json:"offset_ms"`
	Lat      []byte   `json:"lat"`
	Lon      []byte   `json:"lon"`
	Speed    []byte   `json:"speed"`
	Bearing  []byte   `json:"bearing"`
	Accuracy []byte   `json:"accuracy"`
	Battery  []byte   `json:"battery"`
	Flags    []byte   `json:"flags"`
}

// As much of Avro's binary encoding as a frame needs. Once it is cut off, it stays so.
type avro struct {
	data  []byte
	wrong error
}

func (a *avro) long() int64 {
	value, size := binary.Varint(a.data) // zigzag, as Avro has it
	if size <= 0 {
		a.data, a.wrong = nil, errors.New("the value is cut off")
		return 0
	}
	a.data = a.data[size:]
	return value
}

func (a *avro) bytes() []byte {
	length := a.long()
	if length < 0 || length > int64(len(a.data)) {
		a.data, a.wrong = nil, errors.New("the value is cut off")
		return nil
	}
	told := a.data[:length]
	a.data = a.data[length:]
	return told
}

func (a *avro) strings() []string {
	var found []string
	for count := a.long(); count != 0 && a.wrong == nil; count = a.long() {
		if count < 0 { // a block that tells its size, too
			a.long()
			count = -count
		}
		for ; count > 0 && a.wrong == nil; count-- {
			found = append(found, string(a.bytes()))
		}
	}
	return found
}

// Of a record's value: a zero, the schema's id (4 bytes), and the record.
func DecodeFrame(value []byte) ([]Fix, error) {
	if len(value) < 5 || value[0] != 0 {
		return nil, errors.New("the value is not in Confluent framing")
	}
	a := &avro{data: value[5:]}
	layout, count, baseUs, _ := a.long(), a.long(), a.long(), a.long()
	if layout != 1 {
		return nil, fmt.Errorf("layout %d is not known", layout)
	}
	devices, riders := a.strings(), a.strings()
	if len(devices) != len(riders) {
		return nil, fmt.Errorf("%d devices and %d riders", len(devices), len(riders))
	}
	sizes := []int64{4, 2, 4, 4, 2, 1, 1, 1, 1}
	columns := make([][]byte, len(sizes))
	for place, size := range sizes {
		columns[place] = a.bytes()
		if place == 8 && len(columns[place]) == 0 && count >= 0 && count <= mostFixes {
			columns[place] = make([]byte, count)
		}
		if int64(len(columns[place])) != count*size && a.wrong == nil {
			a.wrong = fmt.Errorf("column %d has %d bytes for %d fixes", place, len(columns[place]), count)
		}
	}
	if a.wrong != nil {
		return nil, a.wrong
	}
	fixes := make([]Fix, count)
	order := binary.LittleEndian
	for n := range fixes {
		device := order.Uint32(columns[0][4*n:])
		if int64(device) >= int64(len(devices)) {
			return nil, errors.New("a fix is of a device that the frame does not name")
		}
		fix := &fixes[n]
		fix.DeviceID = devices[device]
		if rider := riders[device]; rider != "" {
			fix.RiderID = &rider
		}
		fix.AtMs = baseUs/1000 + int64(order.Uint16(columns[1][2*n:]))
		fix.Lat = float64(int32(order.Uint32(columns[2][4*n:]))) / 1e6
		fix.Lon = float64(int32(order.Uint32(columns[3][4*n:]))) / 1e6
		fix.SpeedMps = known(int(order.Uint16(columns[4][2*n:])), 0xFFFF, func(told float64) float64 { return told / 100 })
		fix.BearingDeg = known(int(columns[5][n]), 0xFF, func(told float64) float64 { return told * 2 })
		fix.AccuracyM = known(int(columns[6][n]), 0xFF, func(told float64) float64 { return told })
		fix.BatteryPct = known(int(columns[7][n]), 0xFF, func(told float64) float64 { return told })
		fix.Mock = columns[8][n]&1 == 1
	}
	return fixes, nil
}

func known(told, notKnown int, as func(float64) float64) *float64 {
	if told == notKnown {
		return nil
	}
	value := as(float64(told))
	return &value
}

func EncodeFrame(fixes []Fix) (*Frame, error) {
	if len(fixes) == 0 || len(fixes) > mostFixes {
		return nil, fmt.Errorf("a frame has 1 to %d fixes", mostFixes)
	}
	base, latest := fixes[0].AtMs, fixes[0].AtMs
	devices := []string{}
	for _, fix := range fixes {
		base, latest = min(base, fix.AtMs), max(latest, fix.AtMs)
		devices = append(devices, fix.DeviceID)
	}
	if latest-base > spanMs {
		return nil, fmt.Errorf("a frame spans %d ms", spanMs)
	}
	slices.Sort(devices)
	devices = slices.Compact(devices)
	told := &Frame{Count: len(fixes), Devices: devices}
	told.BaseTime = time.UnixMilli(base).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	order := binary.LittleEndian
	for _, fix := range fixes {
		device, _ := slices.BinarySearch(devices, fix.DeviceID)
		told.Device = order.AppendUint32(told.Device, uint32(device))
		told.OffsetMs = order.AppendUint16(told.OffsetMs, uint16(fix.AtMs-base))
		told.Lat = order.AppendUint32(told.Lat, uint32(int32(rounded(fix.Lat*1e6))))
		told.Lon = order.AppendUint32(told.Lon, uint32(int32(rounded(fix.Lon*1e6))))
		told.Speed = order.AppendUint16(told.Speed, uint16(scaled(fix.SpeedMps, 100, 0xFFFE, 0xFFFF)))
		if fix.BearingDeg != nil {
			turned := math.Mod(*fix.BearingDeg, 360)
			fix.BearingDeg = &turned
		}
		told.Bearing = append(told.Bearing, byte(scaled(fix.BearingDeg, 0.5, 180, 0xFF)))
		told.Accuracy = append(told.Accuracy, byte(scaled(fix.AccuracyM, 1, 254, 0xFF)))
		told.Battery = append(told.Battery, byte(scaled(fix.BatteryPct, 1, 100, 0xFF)))
		flags := byte(0)
		if fix.Mock {
			flags = 1
		}
		told.Flags = append(told.Flags, flags)
	}
	return told, nil
}

func rounded(value float64) int64 { return int64(math.Floor(value + 0.5)) }

func scaled(value *float64, factor float64, most, notKnown int64) int64 {
	if value == nil {
		return notKnown
	}
	return min(most, rounded(*value*factor))
}

// Of {"decode": Base64} or {"encode": [fix, …]}, a line each.
func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	code := 0
	for number := 1; ; number++ {
		line, ended := lines.ReadBytes('\n')
		if len(line) > 0 {
			told, bad := answer(line)
			if bad != nil {
				told, code = map[string]any{"error": fmt.Sprintf("line %d: %s", number, bad)}, 1
			}
			_ = out.Encode(told)
		}
		if ended != nil {
			os.Exit(code)
		}
	}
}

// The error is of a line that asks for nothing.
func answer(line []byte) (map[string]any, error) {
	var asked struct {
		Decode *string `json:"decode"`
		Encode []Fix   `json:"encode"`
	}
	if wrong := json.Unmarshal(line, &asked); wrong != nil {
		return nil, wrong
	}
	if asked.Decode == nil && asked.Encode == nil {
		return nil, errors.New(`{"decode": "…"} or {"encode": […]} is needed`)
	}
	if asked.Decode == nil {
		frame, wrong := EncodeFrame(asked.Encode)
		if wrong != nil {
			return map[string]any{"error": wrong.Error()}, nil
		}
		return map[string]any{"frame": frame}, nil
	}
	value, wrong := base64.StdEncoding.DecodeString(*asked.Decode)
	if wrong != nil {
		return map[string]any{"error": wrong.Error()}, nil
	}
	fixes, wrong := DecodeFrame(value)
	if wrong != nil {
		return map[string]any{"error": wrong.Error()}, nil
	}
	return map[string]any{"fixes": fixes}, nil
}
