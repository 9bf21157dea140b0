package config

// Schedule is the course of the learning rate. Nil fields are not of its name.
type Schedule struct {
	Name   string   `yaml:"name" one:"constant,step,cosine,onecycle,piecewise" doc:"The course of the learning rate."`
	Warmup *float64 `yaml:"warmup" min:"0" max:"1" for:"constant,step,cosine,onecycle,piecewise" def:"constant=0,step=0,cosine=0,onecycle=0.3,piecewise=0" doc:"Share of all steps in which the rate rises in a line to its full value."`
}
