package node_test

import (
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// unconditional is a topic that takes unsigned calls and that any department may
// query.
func unconditional(name, contract string, provider sample.Department) *cataloguev1.Topic {
	return &cataloguev1.Topic{
		Name: name, Title: name, Provider: provider.Code, Contract: "huitong.records.v1." + contract,
		SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}
}

func participant(d sample.Department) *cataloguev1.Participant {
	return &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}
}

func asFault(err error, f **fault.Error) bool { return errors.As(err, f) }
